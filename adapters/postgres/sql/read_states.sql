-- What checks are given: one probe of the primary key for each task.
SELECT wanted.place, found.state
FROM (
    SELECT
        unnest(%(run_ids)s) AS run_id,
        unnest(%(steps)s) AS step,
        unnest(%(generations)s) AS generation,
        unnest(%(elements)s) AS element,
        generate_subscripts(%(run_ids)s, 1) AS place
) AS wanted
CROSS JOIN LATERAL (
    SELECT t.state
    FROM fairlead.tasks AS t
    WHERE t.run_id = wanted.run_id
        AND t.step = wanted.step
        AND t.generation = wanted.generation
        AND t.element = wanted.element
        AND t.state IS NOT NULL
    LIMIT 1
) AS found;
