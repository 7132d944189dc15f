-- How a run ended is kept as it begins anew: P3. Reads the row as it was before apply/reruns writes it.
INSERT INTO fairlead.run_generations (run_id, generation, status, started_at, ended_at, reason, error)
SELECT r.id, r.generation, r.status, r.started_at, r.ended_at, r.reason, r.error
FROM (SELECT unnest(%(reruns)s) AS id, unnest(%(rerun_generations)s) AS generation) AS new
JOIN fairlead.runs AS r ON r.id = new.id
WHERE r.generation = new.generation - 1 AND r.status IN ('completed', 'failed', 'cancelled')
RETURNING 1;
