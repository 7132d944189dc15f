-- As load_tasks, locking them: a heartbeat may extend a lease while its loss is being decided (I6).
SELECT
    wanted.place, found.flow_id, found.status, found.token, found.settled_token, found.attempts, found.losses,
    found.phase, found.worker, found.lease_until, found.priority, found.waits_for, found.wake_at, found.give_up_at,
    found.checks
FROM unnest(%(run_ids)s, %(steps)s, %(generations)s, %(elements)s)
    WITH ORDINALITY AS wanted (run_id, step, generation, element, place)
CROSS JOIN LATERAL (
    SELECT t.*
    FROM fairlead.tasks AS t
    WHERE t.run_id = wanted.run_id
        AND t.step = wanted.step
        AND t.generation = wanted.generation
        AND t.element = wanted.element
    FOR NO KEY UPDATE SKIP LOCKED
) AS found;
