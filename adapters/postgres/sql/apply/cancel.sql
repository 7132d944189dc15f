-- A terminal run has no live children: I24, I25. Its own statement, so that it sees what the transaction wrote before.
WITH ended AS (
    SELECT unnest(%(runs)s) AS run_id, unnest(%(ats)s) AS at, unnest(%(reasons)s) AS reason
), steps AS (
    UPDATE fairlead.steps AS s
    SET status = 'cancelled', ended_at = ended.at, reason = ended.reason
    FROM ended
    WHERE s.run_id = ended.run_id AND s.status IN ('created', 'running', 'suspended')
)
UPDATE fairlead.tasks AS t
SET
    status = 'cancelled', ended_at = ended.at, reason = ended.reason, lease_until = NULL, waits_for = NULL,
    wake_at = NULL
FROM ended
WHERE t.run_id = ended.run_id AND t.status IN ('queued', 'running', 'suspended');
