SELECT
    k.name, d.run_id::text, d.sequence, d.generation, d.flow, d.type, d.step, d.at, d.attempts, d.problem, d.died_at,
    d.asked_at, d.event
FROM fairlead.outbox_shards AS s
JOIN fairlead.sinks AS k ON k.id = s.sink
JOIN fairlead.dead_letters AS d ON d.sink = s.sink AND d.shard = s.shard
WHERE s.sink = %(sink)s
    AND s.shard = %(shard)s
    AND s.token = %(token)s
    AND s.worker IS NOT NULL
    AND d.sink = %(sink)s
    AND d.shard = %(shard)s
    AND d.asked_at IS NOT NULL
ORDER BY d.run_id, d.sequence
LIMIT %(limit)s;
