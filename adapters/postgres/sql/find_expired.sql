-- What a reaper looks at; it decides under the run's lock.
SELECT
    t.run_id::text, t.step, t.generation, t.element, t.flow_id, t.status, t.token, t.settled_token, t.attempts,
    t.losses, t.phase, t.worker, t.lease_until, t.priority, t.waits_for, t.wake_at, t.give_up_at, t.checks
FROM fairlead.tasks AS t
WHERE t.running AND t.lease_until < %(before)s AND t.flow_id = ANY (%(flow_ids)s) AND t.run_id <> ALL (%(leave_out)s)
ORDER BY t.lease_until, t.run_id, t.step, t.generation, t.element
LIMIT %(limit)s;
