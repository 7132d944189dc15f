UPDATE fairlead.outbox_shards AS s
SET worker = NULL, lease_until = NULL
FROM unnest(%(sinks)s, %(shards)s, %(tokens)s::text[]) AS held (sink, shard, token)
WHERE s.sink = held.sink AND s.shard = held.shard AND s.token = held.token::bigint AND s.worker = %(worker)s;
