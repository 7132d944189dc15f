-- Each signal is consumed once: I27.
UPDATE fairlead.signals AS s
SET consumed_at = new.at
FROM (
    SELECT
        unnest(%(consumed_runs)s) AS run_id,
        unnest(%(consumed_steps)s) AS step,
        unnest(%(consumed_keys)s) AS key,
        unnest(%(consumed_ats)s) AS at
) AS new
WHERE s.run_id = new.run_id AND s.step = new.step AND s.key = new.key AND s.consumed_at IS NULL
RETURNING 1;
