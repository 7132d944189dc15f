-- The oldest runs behind a place; of those that ended before the time, how many tasks they have, which their steps tell
-- without reading them, and which of their events keep them.
SELECT
    looked_at.id::text, looked_at.flow, looked_at.created_at, looked_at.ended_at,
    CASE WHEN looked_at.old THEN coalesce(
        (SELECT sum(s.cursor)::integer FROM fairlead.steps AS s WHERE s.run_id = looked_at.id), 0
    ) END,
    looked_at.old AND EXISTS (SELECT FROM fairlead.outbox AS o WHERE o.run_id = looked_at.id AND NOT o.published),
    looked_at.old AND EXISTS (
        SELECT
        FROM fairlead.sinks AS k
        CROSS JOIN LATERAL (
            SELECT FROM fairlead.dead_letters AS d WHERE d.sink = k.id AND d.run_id = looked_at.id LIMIT 1
        ) AS letter
        WHERE NOT k.removed
    )
FROM (
    SELECT r.id, r.flow, r.created_at, r.ended_at, r.ended_at IS NOT NULL AND r.ended_at < %(ended_before)s AS old
    FROM fairlead.runs AS r
    WHERE r.created_at < %(ended_before)s
        AND (%(after_created_at)s::timestamptz IS NULL
            OR (r.created_at, r.id) > (%(after_created_at)s, %(after_id)s::uuid))
    ORDER BY r.created_at, r.id
    LIMIT %(limit)s
) AS looked_at
ORDER BY looked_at.created_at, looked_at.id;
