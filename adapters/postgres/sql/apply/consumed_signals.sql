-- Each signal is consumed once: I27.
UPDATE fairlead.signals AS s
SET consumed_at = new.at
FROM unnest(%(consumed_runs)s, %(consumed_steps)s, %(consumed_keys)s, %(consumed_ats)s) AS new (run_id, step, key, at)
WHERE s.run_id = new.run_id AND s.step = new.step AND s.key = new.key AND s.consumed_at IS NULL
RETURNING 1;
