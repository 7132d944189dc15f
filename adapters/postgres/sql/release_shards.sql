UPDATE fairlead.outbox_shards AS s
SET worker = NULL, lease_until = NULL
FROM unnest(%(shards)s, %(tokens)s) AS held (shard, token)
WHERE s.shard = held.shard AND s.token = held.token AND s.worker = %(worker)s;
