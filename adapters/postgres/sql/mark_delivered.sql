-- Nothing is marked without the lease; the shard's row is locked, so that the lease cannot change hands meanwhile. The
-- rows come in order, and the nested loop keeps it: the flushers of several sinks may mark the same rows at once.
WITH leased AS MATERIALIZED (
    SELECT 1 << s.sink AS bit
    FROM fairlead.outbox_shards AS s
    WHERE s.sink = %(sink)s AND s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    FOR NO KEY UPDATE
), required AS MATERIALIZED (
    SELECT coalesce(bit_or(1 << k.id), 0) AS mask FROM fairlead.sinks AS k WHERE NOT k.removed
), marked AS (
    UPDATE fairlead.outbox AS o
    SET
        delivered = o.delivered | leased.bit,
        held = o.held & ~leased.bit,
        published = ((o.delivered | leased.bit) & required.mask) = required.mask
    FROM leased, required, unnest(%(run_ids)s, %(first_sequences)s) AS taken (run_id, first_sequence)
    WHERE o.run_id = taken.run_id AND o.first_sequence = taken.first_sequence AND NOT o.published
)
SELECT EXISTS (SELECT FROM leased);
