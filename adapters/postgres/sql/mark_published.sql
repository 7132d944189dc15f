-- Nothing is marked without the lease; the shard's row is locked, so that the lease cannot change hands meanwhile.
WITH held AS MATERIALIZED (
    SELECT s.shard
    FROM fairlead.outbox_shards AS s
    WHERE s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    FOR NO KEY UPDATE
), marked AS (
    UPDATE fairlead.outbox AS o
    SET published = true
    FROM held, unnest(%(run_ids)s, %(first_sequences)s) AS taken (run_id, first_sequence)
    WHERE o.run_id = taken.run_id AND o.first_sequence = taken.first_sequence AND NOT o.published
)
SELECT EXISTS (SELECT FROM held);
