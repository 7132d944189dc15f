SELECT g.run_id::text, g.generation, g.status, g.started_at, g.ended_at, g.reason, g.error
FROM fairlead.run_generations AS g
WHERE g.run_id = %(run)s::uuid
ORDER BY g.generation;
