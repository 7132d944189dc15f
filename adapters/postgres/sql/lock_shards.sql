-- Whoever records under a lease on one of these shards has committed, or finds that it is lost: what it has recorded is
-- seen by the next statement.
SELECT s.shard::integer
FROM fairlead.outbox_shards AS s
WHERE s.sink = %(sink)s
ORDER BY s.shard
FOR NO KEY UPDATE;
