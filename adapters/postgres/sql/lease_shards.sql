-- One flusher at a time publishes any one run, since a run's rows are in one shard: I20. Shards that were leased least
-- often come first. Each shard is one probe of the index of unpublished rows.
WITH free AS MATERIALIZED (
    SELECT s.shard
    FROM fairlead.outbox_shards AS s
    CROSS JOIN LATERAL (
        SELECT o.run_id
        FROM fairlead.outbox AS o
        WHERE o.shard = s.shard AND NOT o.published
        ORDER BY o.run_id, o.first_sequence
        LIMIT 1
    ) AS unpublished
    WHERE s.worker IS NULL OR s.worker = %(worker)s OR s.lease_until <= %(now)s
    ORDER BY s.token, s.shard
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE fairlead.outbox_shards AS s
SET worker = %(worker)s, token = s.token + 1, lease_until = %(until)s
FROM free
WHERE s.shard = free.shard
RETURNING s.shard::integer, s.token;
