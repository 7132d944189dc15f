SELECT h.run_id::text, h.next_sequence, h.lost, h.attempts, h.not_before, h.problem
FROM fairlead.outbox_shards AS s
JOIN fairlead.held_runs AS h ON h.sink = s.sink AND h.shard = s.shard
WHERE s.sink = %(sink)s
    AND s.shard = %(shard)s
    AND s.token = %(token)s
    AND s.worker IS NOT NULL
    AND h.sink = %(sink)s
    AND h.shard = %(shard)s
    AND h.not_before <= %(now)s
ORDER BY h.not_before, h.run_id
LIMIT %(limit)s;
