-- A run and its first event appear together, and one run per (flow, key): I18, I22. Rows are inserted in the order
-- of their keys, so that two batches cannot wait for each other in a circle. It takes no lock on an existing row.
-- What limits the wait for another transaction's lock is evaluated before they are sorted, and ends with the
-- transaction.
WITH given AS (
    SELECT given.*
    FROM set_config('lock_timeout', %(lock_wait)s, true)
    CROSS JOIN unnest(
        %(ids)s, %(flow_ids)s, %(flows)s, %(versions)s, %(fingerprints)s, %(keys)s, %(request_digests)s,
        %(priorities)s, %(next_sequences)s, %(created_ats)s, %(inputs)s, %(configs)s, %(facts)s,
        %(first_sequences)s, %(counts)s, %(generations)s, %(shards)s, %(ats)s, %(events)s
    ) WITH ORDINALITY AS given (
        id, flow_id, flow, version, fingerprint, key, request_digest,
        priority, next_sequence, created_at, input, config, facts,
        first_sequence, count, generation, shard, at, events, place
    )
), inserted AS (
    INSERT INTO fairlead.runs (
        id, flow_id, flow, version, fingerprint, key, request_digest,
        priority, generation, next_sequence, created_at, input, config, facts
    )
    SELECT
        id, flow_id, flow, version, fingerprint, key, request_digest,
        priority, generation, next_sequence, created_at, input, config, facts
    FROM given
    ORDER BY flow, key, place
    ON CONFLICT DO NOTHING
    RETURNING id
), told AS (
    INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, at, flow, events, published)
    SELECT
        id, first_sequence, count, generation, shard, at, flow, events,
        (SELECT fairlead.has_no_sink())
    FROM given
    JOIN inserted USING (id)
    ORDER BY id
)
SELECT id::text FROM inserted;
