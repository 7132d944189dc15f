-- Rows of a run were inserted under its lock, so its undelivered ones have no gap that could still be filled. Each mask
-- of other sinks is a stretch of the index in the order asked for; as many rows of each are read as are wanted at all.
WITH RECURSIVE leased AS MATERIALIZED (
    SELECT s.sink, 1 << s.sink AS bit
    FROM fairlead.outbox_shards AS s
    WHERE s.sink = %(sink)s AND s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
), masks AS (
    SELECT (SELECT o.passed FROM fairlead.outbox AS o WHERE NOT o.published ORDER BY o.passed LIMIT 1) AS passed, bit
    FROM leased
    UNION ALL
    SELECT (
        SELECT o.passed
        FROM fairlead.outbox AS o
        WHERE NOT o.published
            AND o.passed > CASE WHEN (masks.passed & bit) = 0 THEN masks.passed ELSE masks.passed | (bit - 1) END
        ORDER BY o.passed
        LIMIT 1
    ), bit
    FROM masks
    WHERE masks.passed IS NOT NULL
)
SELECT
    found.run_id::text, found.flow, found.generation, found.first_sequence, found.count, found.at, found.events,
    (
        SELECT true
        FROM fairlead.held_runs AS h
        WHERE h.sink = %(sink)s::smallint AND h.run_id = found.run_id
    ) IS NOT NULL
FROM masks
CROSS JOIN LATERAL (
    SELECT o.run_id, o.flow, o.generation, o.first_sequence, o.count, o.at, o.events
    FROM fairlead.outbox AS o
    WHERE NOT o.published
        AND o.passed = masks.passed
        AND o.shard = %(shard)s
        AND (o.run_id, o.first_sequence) > (%(after_run)s::uuid, %(after_sequence)s::integer)
    ORDER BY o.run_id, o.first_sequence
    LIMIT %(limit)s
) AS found
WHERE (masks.passed & bit) = 0
ORDER BY found.run_id, found.first_sequence
LIMIT %(limit)s;
