-- At most one outcome per task and token; a terminal task has exactly one. A task that failed because its last lease
-- was lost has no outcome of that lease: nobody recorded one. A task that ended while it waited is nobody's, and no
-- attempt.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) has settled token %s, and its attempt is %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.settled_token,
    CASE WHEN a.run_id IS NULL THEN 'not kept' ELSE 'kept' END
)
FROM fairlead.tasks AS t
LEFT JOIN fairlead.attempts AS a
    ON a.run_id = t.run_id AND a.step = t.step AND a.generation = t.generation AND a.element = t.element
        AND a.token = t.token
WHERE (t.status = 'completed' AND (t.settled_token <> t.token OR a.run_id IS NOT NULL))
    OR (t.status = 'failed'
        AND ((a.run_id IS NULL) = (t.worker IS NOT NULL)
            OR (t.settled_token = t.token) = (t.reason IS NOT DISTINCT FROM 'worker_lost')));
