-- An outcome's token is the latest claim's: none is recorded under a token that was never given out.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) has settled token %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.settled_token
)
FROM fairlead.tasks AS t
WHERE t.settled_token NOT BETWEEN 0 AND t.token
UNION ALL
SELECT format(
    'attempt under token %s of task %s/%s/%s/%s was never claimed',
    a.token, a.run_id, a.step, a.generation, a.element
)
FROM fairlead.attempts AS a
LEFT JOIN fairlead.tasks AS t
    ON t.run_id = a.run_id AND t.step = a.step AND t.generation = a.generation AND t.element = a.element
WHERE t.run_id IS NULL OR a.token NOT BETWEEN 1 AND t.token;
