-- One flusher at a time publishes any one run, since a run's rows are in one shard: I20. Shards that were leased least
-- often come first.
WITH free AS MATERIALIZED (
    SELECT s.shard
    FROM fairlead.outbox_shards AS s
    WHERE (s.worker IS NULL OR s.worker = %(worker)s OR s.lease_until <= %(now)s)
        AND EXISTS (SELECT FROM fairlead.outbox AS o WHERE o.shard = s.shard AND NOT o.published)
    ORDER BY s.token, s.shard
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE fairlead.outbox_shards AS s
SET worker = %(worker)s, token = s.token + 1, lease_until = %(until)s
FROM free
WHERE s.shard = free.shard
RETURNING s.shard::integer, s.token;
