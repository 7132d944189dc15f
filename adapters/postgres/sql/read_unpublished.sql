-- Rows of a run were inserted under its lock, so its unpublished ones have no gap that could still be filled.
SELECT o.run_id::text, o.flow, o.generation, o.first_sequence, o.count, o.at, o.events
FROM fairlead.outbox AS o
WHERE o.shard = %(shard)s
    AND NOT o.published
    AND (o.run_id, o.first_sequence) > (%(after_run)s::uuid, %(after_sequence)s::integer)
    AND EXISTS (
        SELECT FROM fairlead.outbox_shards AS s
        WHERE s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    )
ORDER BY o.shard, o.run_id, o.first_sequence
LIMIT %(limit)s;
