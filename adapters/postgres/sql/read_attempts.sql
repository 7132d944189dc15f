SELECT
    a.run_id::text, a.step, a.generation, a.element, a.token, a.attempt, a.worker, a.ended_at, a.reason, a.error
FROM fairlead.attempts AS a
WHERE a.run_id = %(run)s::uuid
ORDER BY a.step, a.generation, a.element, a.token;
