-- As insert_runs, for a transaction that is not ours: I18, I22. A flow that is not registered where the connection leads
-- is another database's, and its runs are not inserted. It takes no lock on an existing row.
WITH given AS (
    SELECT *
    FROM json_to_recordset(CAST(CAST(%(given)s AS text) AS json)) AS given (
        place integer, id uuid, flow_id integer, flow text, version text, fingerprint text, key text,
        request_digest text, priority integer, next_sequence integer, created_at timestamptz, input text, config text,
        facts text, annotations text, first_sequence integer, count integer, generation integer, shard integer,
        at timestamptz, events text
    )
), known AS (
    SELECT given.*
    FROM given
    JOIN fairlead.flows AS f ON f.id = given.flow_id
    WHERE f.slug = given.flow AND f.version = given.version AND f.fingerprint = given.fingerprint
), inserted AS (
    INSERT INTO fairlead.runs (
        id, flow_id, flow, version, fingerprint, key, request_digest,
        priority, generation, next_sequence, created_at, input, config, facts
    )
    SELECT
        id, flow_id, flow, version, fingerprint, key, request_digest,
        priority, generation, next_sequence, created_at, input::json, config::json, facts::json
    FROM known
    ORDER BY flow, key, place
    ON CONFLICT DO NOTHING
    RETURNING id
), told AS (
    INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, at, flow, events, published)
    SELECT
        id, first_sequence, count, generation, shard, at, flow, events::json,
        NOT EXISTS (SELECT FROM fairlead.sinks AS k WHERE NOT k.removed)
    FROM known
    JOIN inserted USING (id)
    ORDER BY id
), annotated AS (
    INSERT INTO fairlead.run_annotations (run_id, annotations, searched)
    SELECT id, annotations::json, annotations::jsonb
    FROM known
    JOIN inserted USING (id)
    WHERE annotations IS NOT NULL
)
SELECT given.id::text, known.id IS NOT NULL, inserted.id IS NOT NULL
FROM given
LEFT JOIN known USING (id)
LEFT JOIN inserted USING (id);
