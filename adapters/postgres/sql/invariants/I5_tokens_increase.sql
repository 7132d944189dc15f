-- Tokens increase per task: once per claim, while an attempt may be given back.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) has %s attempts and %s losses',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.attempts, t.losses
)
FROM fairlead.tasks AS t
WHERE t.attempts NOT BETWEEN 0 AND t.token OR t.losses NOT BETWEEN 0 AND t.token;
