-- A run and its first event appear together, and one run per (flow, key): I18, I22. Rows are inserted in the order
-- of their keys, so that two batches cannot wait for each other in a circle. It takes no lock on an existing row.
-- What limits the wait for another transaction's lock is evaluated before they are sorted, and ends with the
-- transaction.
WITH given AS (
    SELECT given.*
    FROM set_config('lock_timeout', %(lock_wait)s, true)
    CROSS JOIN (
        SELECT
            unnest(%(ids)s) AS id,
            unnest(%(flow_ids)s) AS flow_id,
            unnest(%(flows)s) AS flow,
            unnest(%(versions)s) AS version,
            unnest(%(fingerprints)s) AS fingerprint,
            unnest(%(keys)s) AS key,
            unnest(%(request_digests)s) AS request_digest,
            unnest(%(priorities)s) AS priority,
            unnest(%(next_sequences)s) AS next_sequence,
            unnest(%(created_ats)s) AS created_at,
            unnest(%(inputs)s) AS input,
            unnest(%(configs)s) AS config,
            unnest(%(facts)s) AS facts,
            unnest(%(first_sequences)s) AS first_sequence,
            unnest(%(counts)s) AS count,
            unnest(%(generations)s) AS generation,
            unnest(%(shards)s) AS shard,
            unnest(%(ats)s) AS at,
            unnest(%(events)s) AS events,
            generate_subscripts(%(ids)s, 1) AS place
    ) AS given
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
