-- Some rows that a removed sink had or held, and some that every other one has: none of them says anything of it
-- afterwards, and what all others have is published. Whoever updates leaves the masks that are looked for here.
WITH RECURSIVE required AS MATERIALIZED (
    SELECT coalesce(bit_or(1 << k.id), 0) AS mask FROM fairlead.sinks AS k WHERE NOT k.removed
), masks AS (
    SELECT (SELECT o.passed FROM fairlead.outbox AS o WHERE NOT o.published ORDER BY o.passed LIMIT 1) AS passed
    UNION ALL
    SELECT (
        SELECT o.passed
        FROM fairlead.outbox AS o
        WHERE NOT o.published AND o.passed > masks.passed
        ORDER BY o.passed
        LIMIT 1
    )
    FROM masks
    WHERE masks.passed IS NOT NULL
), chosen AS MATERIALIZED (
    SELECT found.run_id, found.first_sequence
    FROM required
    CROSS JOIN masks
    CROSS JOIN LATERAL (
        SELECT o.run_id, o.first_sequence
        FROM fairlead.outbox AS o
        WHERE NOT o.published
            AND o.passed = masks.passed
            AND ((o.passed & (1 << %(sink)s::integer)) <> 0 OR (o.delivered & required.mask) = required.mask)
        ORDER BY o.shard, o.run_id, o.first_sequence
        LIMIT %(limit)s
        FOR NO KEY UPDATE
    ) AS found
    WHERE (masks.passed & (1 << %(sink)s::integer)) <> 0 OR (masks.passed & required.mask) = required.mask
    LIMIT %(limit)s
)
UPDATE fairlead.outbox AS o
SET
    delivered = o.delivered & ~(1 << %(sink)s::integer),
    held = o.held & ~(1 << %(sink)s::integer),
    published = (o.delivered & required.mask) = required.mask
FROM chosen, required
WHERE o.run_id = chosen.run_id AND o.first_sequence = chosen.first_sequence AND NOT o.published
RETURNING true;
