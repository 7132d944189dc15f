-- After an unknown commit: what is leased to one worker. Only leased tasks are read, as many as all hosts have slots.
SELECT
    t.run_id::text, t.step, t.generation, t.element, t.flow_id, t.status, t.token, t.settled_token, t.attempts,
    t.losses, t.phase, t.worker, t.lease_until, t.priority, t.waits_for, t.wake_at, t.give_up_at, t.checks
FROM fairlead.tasks AS t
WHERE t.running AND t.worker = %(worker)s
ORDER BY t.run_id, t.step, t.generation, t.element;
