-- Every pending run and queued task can be found without its message: I32.
WITH unclaimed AS (
    (
        SELECT r.created_at AS since, r.id AS run_id, '' AS queue, NULL::text AS step, 0 AS generation, 0 AS element
        FROM fairlead.runs AS r
        WHERE r.pending AND r.created_at < %(before)s AND r.flow_id = ANY (%(flow_ids)s)
        ORDER BY r.created_at, r.id
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT t.ready_at, t.run_id, t.queue, t.step, t.generation, t.element
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.ready_at < %(before)s AND t.flow_id = ANY (%(flow_ids)s)
        ORDER BY t.ready_at, t.run_id, t.step, t.generation, t.element
        LIMIT %(limit)s
    )
)
SELECT run_id::text, queue, step, generation, element, since
FROM unclaimed
ORDER BY since, run_id, step NULLS FIRST, generation, element
LIMIT %(limit)s;
