-- A terminal step has no live tasks: I25. As apply/cancel, for one step of a run, whose row is written beside the others.
UPDATE fairlead.tasks AS t
SET
    status = 'cancelled', ended_at = ended.at, reason = ended.reason, lease_until = NULL, waits_for = NULL,
    wake_at = NULL
FROM (
    SELECT
        unnest(%(runs)s) AS run_id,
        unnest(%(steps)s) AS step,
        unnest(%(generations)s) AS generation,
        unnest(%(ats)s) AS at,
        unnest(%(reasons)s) AS reason
) AS ended
WHERE t.run_id = ended.run_id
    AND t.step = ended.step
    AND t.generation = ended.generation
    AND t.status IN ('queued', 'running', 'suspended');
