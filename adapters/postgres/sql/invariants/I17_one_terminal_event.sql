-- One terminal event per run and generation, and per step and generation; nothing follows a run's in it.
WITH told AS (
    SELECT
        o.run_id, o.generation, o.first_sequence + each.place - 1 AS sequence,
        each.event ->> 'type' AS type, each.event ->> 'step' AS step
    FROM fairlead.outbox AS o
    CROSS JOIN LATERAL json_array_elements(
        CASE json_typeof(o.events) WHEN 'array' THEN o.events ELSE '[]' END
    ) WITH ORDINALITY AS each (event, place)
), ends AS (
    SELECT told.run_id, told.generation, count(*) AS number, min(told.sequence) AS first
    FROM told
    WHERE told.type IN ('run.completed', 'run.failed', 'run.cancelled')
    GROUP BY told.run_id, told.generation
)
SELECT format('run %s (%s) ended %s times in generation %s', r.id, r.status, ends.number, ends.generation)
FROM ends
JOIN fairlead.runs AS r ON r.id = ends.run_id
WHERE ends.number > 1
UNION ALL
SELECT format('run %s (%s) has a terminal event in generation %s', r.id, r.status, ends.generation)
FROM ends
JOIN fairlead.runs AS r ON r.id = ends.run_id
WHERE ends.generation > r.generation
    OR (ends.generation = r.generation AND r.status NOT IN ('completed', 'failed', 'cancelled'))
UNION ALL
SELECT format('run %s (%s) has no terminal event in generation %s', r.id, r.status, ended.generation)
FROM fairlead.runs AS r
CROSS JOIN LATERAL (
    SELECT r.generation WHERE r.status IN ('completed', 'failed', 'cancelled')
    UNION ALL
    SELECT g.generation FROM fairlead.run_generations AS g WHERE g.run_id = r.id
) AS ended
LEFT JOIN ends ON ends.run_id = r.id AND ends.generation = ended.generation
WHERE ends.run_id IS NULL
UNION ALL
SELECT format('run %s (%s) has events after its end in generation %s', r.id, r.status, ends.generation)
FROM ends
JOIN fairlead.runs AS r ON r.id = ends.run_id
WHERE EXISTS (
    SELECT FROM told
    WHERE told.run_id = ends.run_id AND told.generation = ends.generation AND told.sequence > ends.first
)
UNION ALL
SELECT format('step %s/%s/%s ended %s times', told.run_id, told.step, told.generation, count(*))
FROM told
WHERE told.type IN ('step.completed', 'step.failed', 'step.skipped')
GROUP BY told.run_id, told.step, told.generation
HAVING count(*) > 1;
