-- Every status change of a run or step and every retry has its event, and no event is without its change. A step that
-- is cancelled with its run has no event of its own; a map without tasks completes without having started; a step resumes
-- when what it waited for is there, so one that ended otherwise may have been suspended to its end; all but the last
-- attempt of a task that failed in one were retried; of each annotation the last word counts, and null takes it away.
WITH told AS (
    SELECT
        o.run_id, o.generation, o.first_sequence + each.place - 1 AS sequence,
        each.event ->> 'type' AS type, each.event ->> 'step' AS step, each.event -> 'annotations' AS annotations
    FROM fairlead.outbox AS o
    CROSS JOIN LATERAL json_array_elements(
        CASE json_typeof(o.events) WHEN 'array' THEN o.events ELSE '[]' END
    ) WITH ORDINALITY AS each (event, place)
), runs AS (
    SELECT
        told.run_id,
        count(*) FILTER (WHERE told.type = 'run.created') AS created,
        min(told.sequence) FILTER (WHERE told.type = 'run.created') AS created_at,
        min(told.sequence) AS first,
        array_agg(told.type) FILTER (WHERE told.step IS NULL OR told.type LIKE 'run.%') AS types
    FROM told
    GROUP BY told.run_id
), generations AS (
    SELECT r.id AS run_id, r.generation, r.status, r.started_at
    FROM fairlead.runs AS r
    UNION ALL
    SELECT g.run_id, g.generation, g.status, g.started_at
    FROM fairlead.run_generations AS g
), types AS (
    SELECT told.run_id, told.generation, array_agg(told.type) AS told
    FROM told
    WHERE told.type LIKE 'run.%'
    GROUP BY told.run_id, told.generation
), steps AS (
    SELECT
        told.run_id, told.step, told.generation,
        bool_or(told.type = 'step.started') AS started,
        array_agg(DISTINCT told.type)
            FILTER (WHERE told.type IN ('step.completed', 'step.failed', 'step.skipped')) AS ended,
        count(*) FILTER (WHERE told.type = 'step.suspended')
            - count(*) FILTER (WHERE told.type = 'step.resumed') AS waits,
        count(*) FILTER (WHERE told.type = 'task.retrying') AS retries
    FROM told
    WHERE told.step IS NOT NULL AND told.type NOT LIKE 'run.%'
    GROUP BY told.run_id, told.step, told.generation
), kept AS (
    SELECT a.run_id, a.step, a.generation, count(*) AS attempts
    FROM fairlead.attempts AS a
    GROUP BY a.run_id, a.step, a.generation
), failed AS (
    SELECT t.run_id, t.step, t.generation, count(*) AS tasks
    FROM fairlead.tasks AS t
    WHERE t.status = 'failed' AND t.worker IS NOT NULL
    GROUP BY t.run_id, t.step, t.generation
), said AS (
    SELECT DISTINCT ON (told.run_id, each.key) told.run_id, each.key, each.value::jsonb AS value
    FROM told
    CROSS JOIN LATERAL json_each(
        CASE json_typeof(told.annotations) WHEN 'object' THEN told.annotations ELSE '{}' END
    ) AS each
    WHERE told.type = 'run.annotated'
    ORDER BY told.run_id, each.key, told.sequence DESC
), annotated AS (
    SELECT
        said.run_id,
        coalesce(jsonb_object_agg(said.key, said.value) FILTER (WHERE said.value <> 'null'), '{}') AS annotations
    FROM said
    GROUP BY said.run_id
)
SELECT format('run %s (%s) tells %s', r.id, r.status, runs.types)
FROM fairlead.runs AS r
LEFT JOIN runs ON runs.run_id = r.id
WHERE runs.created IS DISTINCT FROM 1
    OR runs.created_at <> runs.first
UNION ALL
SELECT format('run %s (%s) tells %s in generation %s', g.run_id, g.status, types.told, g.generation)
FROM generations AS g
LEFT JOIN types USING (run_id, generation)
WHERE coalesce('run.started' = ANY (types.told), false) <> (g.started_at IS NOT NULL)
    OR (g.status IN ('completed', 'failed', 'cancelled')
        AND NOT coalesce('run.' || g.status = ANY (types.told), false))
UNION ALL
SELECT format(
    'step %s/%s/%s (%s) tells %s%s%s',
    s.run_id, s.slug, s.generation, s.status, steps.ended, CASE WHEN steps.started THEN ' after its start' END,
    CASE WHEN steps.waits <> 0 THEN ' and that it waits' END
)
FROM fairlead.steps AS s
LEFT JOIN steps ON steps.run_id = s.run_id AND steps.step = s.slug AND steps.generation = s.generation
WHERE steps.ended IS DISTINCT FROM
        CASE WHEN s.status IN ('completed', 'failed', 'skipped') THEN ARRAY['step.' || s.status] END
    OR coalesce(steps.started, false) <> (s.started_at IS NOT NULL)
    OR coalesce(steps.waits, 0) NOT BETWEEN CASE WHEN s.status = 'suspended' THEN 1 ELSE 0 END
        AND CASE WHEN s.status IN ('suspended', 'failed', 'skipped', 'cancelled') THEN 1 ELSE 0 END
    OR (s.started_at IS NULL
        AND (s.status IN ('running', 'suspended') OR (s.status = 'completed' AND s.elements > s.gaps)))
    OR (s.started_at IS NOT NULL AND (s.status = 'created' OR s.elements IS NOT DISTINCT FROM s.gaps))
UNION ALL
SELECT format(
    'step %s/%s/%s tells %s retries and had %s',
    run_id, step, generation, coalesce(steps.retries, 0), coalesce(kept.attempts, 0) - coalesce(failed.tasks, 0)
)
FROM steps
FULL JOIN kept USING (run_id, step, generation)
FULL JOIN failed USING (run_id, step, generation)
WHERE coalesce(steps.retries, 0) <> coalesce(kept.attempts, 0) - coalesce(failed.tasks, 0)
UNION ALL
SELECT format('run %s is annotated with %s, and tells %s', run_id, a.annotations, annotated.annotations)
FROM fairlead.run_annotations AS a
FULL JOIN annotated USING (run_id)
WHERE a.searched IS DISTINCT FROM annotated.annotations
    OR a.annotations::jsonb IS DISTINCT FROM a.searched;
