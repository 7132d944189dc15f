-- For one sink one flusher at a time publishes any one run, since a run's rows are in one shard: I20. Shards that were
-- leased longest ago come first. Which masks of other sinks there are among unpublished rows is found by skipping along
-- their index; per mask and shard one probe of it tells whether anything is fresh.
WITH RECURSIVE asked AS MATERIALIZED (
    SELECT k.id, 1 << k.id AS bit, k.pauses
    FROM fairlead.sinks AS k
    WHERE k.name = %(sink)s AND NOT k.removed AND (k.not_before IS NULL OR k.not_before <= %(now)s)
), masks AS (
    SELECT (SELECT o.passed FROM fairlead.outbox AS o WHERE NOT o.published ORDER BY o.passed LIMIT 1) AS passed, bit
    FROM asked
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
), fresh AS MATERIALIZED (
    SELECT masks.passed FROM masks WHERE (masks.passed & bit) = 0
), free AS MATERIALIZED (
    SELECT s.sink, s.shard, asked.pauses, has.held, has.letters
    FROM asked
    JOIN fairlead.outbox_shards AS s ON s.sink = asked.id
    CROSS JOIN LATERAL (
        SELECT
            (
                SELECT true
                FROM fresh
                CROSS JOIN LATERAL (
                    SELECT o.run_id
                    FROM fairlead.outbox AS o
                    WHERE NOT o.published AND o.passed = fresh.passed AND o.shard = s.shard
                    ORDER BY o.run_id, o.first_sequence
                    LIMIT 1
                ) AS unseen
                LIMIT 1
            ) IS NOT NULL AS fresh,
            (
                SELECT true
                FROM fairlead.held_runs AS h
                WHERE h.sink = s.sink AND h.shard = s.shard AND h.not_before <= %(now)s
                ORDER BY h.not_before
                LIMIT 1
            ) IS NOT NULL AS held,
            (
                SELECT true
                FROM fairlead.dead_letters AS d
                WHERE d.sink = s.sink AND d.shard = s.shard AND d.asked_at IS NOT NULL
                ORDER BY d.run_id, d.sequence
                LIMIT 1
            ) IS NOT NULL AS letters
        OFFSET 0
    ) AS has
    WHERE (s.worker IS NULL OR s.worker = %(worker)s OR s.lease_until <= %(now)s)
        AND (has.fresh OR has.held OR has.letters)
    ORDER BY s.token, s.shard
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE fairlead.outbox_shards AS s
SET worker = %(worker)s, token = DEFAULT, lease_until = %(until)s
FROM free
WHERE s.sink = free.sink AND s.shard = free.shard
RETURNING s.sink::integer, s.shard::integer, s.token, free.held, free.letters, free.pauses;
