-- The oldest runs behind a place, and which of them may go. The steps tell how many tasks a run has, without reading
-- them.
SELECT
    looked_at.id::text, looked_at.flow, looked_at.created_at, looked_at.ended_at,
    coalesce((SELECT sum(s.cursor)::integer FROM fairlead.steps AS s WHERE s.run_id = looked_at.id), 0),
    looked_at.ended_at < %(ended_before)s AND NOT EXISTS (
        SELECT FROM fairlead.outbox AS o WHERE o.run_id = looked_at.id AND NOT o.published
    )
FROM (
    SELECT r.id, r.flow, r.created_at, r.ended_at
    FROM fairlead.runs AS r
    WHERE r.created_at < %(ended_before)s
        AND (%(after_created_at)s::timestamptz IS NULL
            OR (r.created_at, r.id) > (%(after_created_at)s, %(after_id)s::uuid))
    ORDER BY r.created_at, r.id
    LIMIT %(limit)s
) AS looked_at
ORDER BY looked_at.created_at, looked_at.id;
