-- Every pending run and queued task can be found without its message: I32. The recursions step through the distinct
-- queues and priorities along the indexes, so that what is not waiting is never read.
WITH RECURSIVE run_groups AS (
    SELECT f.flow_id, (
        SELECT r.priority
        FROM fairlead.runs AS r
        WHERE r.pending AND r.flow_id = f.flow_id
        ORDER BY r.priority DESC
        LIMIT 1
    ) AS priority
    FROM unnest(%(flow_ids)s) AS f (flow_id)
    UNION ALL
    SELECT higher.flow_id, (
        SELECT r.priority
        FROM fairlead.runs AS r
        WHERE r.pending AND r.flow_id = higher.flow_id AND r.priority < higher.priority
        ORDER BY r.priority DESC
        LIMIT 1
    )
    FROM run_groups AS higher
    WHERE higher.priority IS NOT NULL
), queues AS (
    (SELECT t.queue FROM fairlead.tasks AS t WHERE t.queued ORDER BY t.queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT t.queue FROM fairlead.tasks AS t WHERE t.queued AND t.queue > before.queue ORDER BY t.queue LIMIT 1
    )
    FROM queues AS before
    WHERE before.queue IS NOT NULL
), task_groups AS (
    SELECT asked.queue, asked.flow_id, asked.lost, (
        SELECT t.priority
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.queue = asked.queue AND t.flow_id = asked.flow_id AND t.lost = asked.lost
        ORDER BY t.priority DESC
        LIMIT 1
    ) AS priority
    FROM (
        SELECT q.queue, f.flow_id, l.lost
        FROM queues AS q
        CROSS JOIN unnest(%(flow_ids)s) AS f (flow_id)
        CROSS JOIN (VALUES (false), (true)) AS l (lost)
        WHERE q.queue IS NOT NULL
    ) AS asked
    UNION ALL
    SELECT higher.queue, higher.flow_id, higher.lost, (
        SELECT t.priority
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.queue = higher.queue AND t.flow_id = higher.flow_id AND t.lost = higher.lost
            AND t.priority < higher.priority
        ORDER BY t.priority DESC
        LIMIT 1
    )
    FROM task_groups AS higher
    WHERE higher.priority IS NOT NULL
), unclaimed AS (
    SELECT oldest.since, oldest.run_id, '' AS queue, NULL::text AS step, 0 AS generation, 0 AS element, g.flow_id
    FROM run_groups AS g
    CROSS JOIN LATERAL (
        SELECT r.created_at AS since, r.id AS run_id
        FROM fairlead.runs AS r
        WHERE r.pending AND r.flow_id = g.flow_id AND r.priority = g.priority AND r.created_at < %(before)s
        ORDER BY r.created_at, r.id
        LIMIT %(limit)s
    ) AS oldest
    UNION ALL
    SELECT oldest.since, oldest.run_id, g.queue, oldest.step, oldest.generation, oldest.element, g.flow_id
    FROM task_groups AS g
    CROSS JOIN LATERAL (
        SELECT t.ready_at AS since, t.run_id, t.step, t.generation, t.element
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.queue = g.queue AND t.flow_id = g.flow_id AND t.lost = g.lost
            AND t.priority = g.priority AND t.ready_at < %(before)s
        ORDER BY t.ready_at, t.run_id, t.step, t.generation, t.element
        LIMIT %(limit)s
    ) AS oldest
)
SELECT run_id::text, queue, step, generation, element, since, flow_id
FROM unclaimed
ORDER BY since, run_id, step COLLATE "C" NULLS FIRST, generation, element
LIMIT %(limit)s;
