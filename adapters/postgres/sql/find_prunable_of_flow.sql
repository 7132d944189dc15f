-- As find_prunable, for the runs of one flow, and of nobody else: comparing whole places says with bounds what `flow = …`
-- would, in an order that only the index by flow has. A planner who takes the runs of all flows for evenly mixed would
-- read those that others keep, in the order of the other index.
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
    WHERE (r.flow, r.created_at) < (%(flow)s, %(ended_before)s::timestamptz)
        AND (r.flow, r.created_at, r.id) > (
            %(flow)s,
            coalesce(%(after_created_at)s::timestamptz, '-infinity'),
            coalesce(%(after_id)s::uuid, '00000000-0000-0000-0000-000000000000')
        )
    ORDER BY r.flow, r.created_at, r.id
    LIMIT %(limit)s
) AS looked_at
ORDER BY looked_at.created_at, looked_at.id;
