SELECT
    t.run_id::text, t.step, t.generation, t.element, t.status, t.phase, t.queue, t.priority, t.token,
    t.settled_token, t.attempts, t.losses, t.worker, t.lease_until, t.ready_at, t.created_at, t.started_at,
    t.ended_at, t.reason, t.error, t.output IS NOT NULL, t.waits_for, t.wake_at,
    t.give_up_at, t.checks
FROM fairlead.tasks AS t
WHERE t.run_id = %(run)s::uuid AND (%(step)s::text IS NULL OR t.step = %(step)s)
ORDER BY t.step, t.generation, t.element;
