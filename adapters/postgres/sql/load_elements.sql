-- Which elements the next tasks of maps are for: of each one's source the completed tasks behind its own last row, a
-- stretch of the primary key in its order, as one array.
SELECT
    wanted.place,
    ARRAY(
        SELECT t.element
        FROM fairlead.tasks AS t
        WHERE t.run_id = wanted.run_id
            AND t.step = wanted.source
            AND t.generation = wanted.source_generation
            AND t.element > made.last
            AND t.status = 'completed'
        ORDER BY t.element
        LIMIT wanted.most
    )
FROM (
    SELECT
        unnest(%(run_ids)s) AS run_id,
        unnest(%(steps)s) AS step,
        unnest(%(generations)s) AS generation,
        unnest(%(sources)s) AS source,
        unnest(%(source_generations)s) AS source_generation,
        unnest(%(limits)s) AS most,
        generate_subscripts(%(run_ids)s, 1) AS place
) AS wanted
CROSS JOIN LATERAL (
    SELECT coalesce(max(t.element), -1) AS last
    FROM fairlead.tasks AS t
    WHERE t.run_id = wanted.run_id AND t.step = wanted.step AND t.generation = wanted.generation
) AS made;
