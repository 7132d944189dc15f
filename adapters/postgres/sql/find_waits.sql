-- What waits and is to be looked at; the decision is made under the run's lock. For each flow the first ones of its
-- stretch of the index, in its order: what is not due is never read.
SELECT
    found.run_id::text, found.step, found.generation, found.element, found.flow_id, found.status, found.token,
    found.settled_token, found.attempts, found.losses, found.phase, found.worker, found.lease_until, found.priority,
    found.waits_for, found.wake_at, found.give_up_at, found.checks
FROM unnest(%(flow_ids)s) AS f (flow_id)
CROSS JOIN LATERAL (
    SELECT t.*
    FROM fairlead.tasks AS t
    WHERE t.flow_id = f.flow_id AND t.wake_at <= %(before)s AND t.run_id <> ALL (%(leave_out)s)
    ORDER BY t.wake_at, t.run_id, t.step, t.generation, t.element
    LIMIT %(limit)s
) AS found
ORDER BY found.wake_at, found.run_id, found.step, found.generation, found.element
LIMIT %(limit)s;
