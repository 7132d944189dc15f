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
FROM unnest(
    %(run_ids)s, %(steps)s, %(generations)s, %(sources)s, %(source_generations)s, %(limits)s
) WITH ORDINALITY AS wanted (run_id, step, generation, source, source_generation, most, place)
CROSS JOIN LATERAL (
    SELECT coalesce(max(t.element), -1) AS last
    FROM fairlead.tasks AS t
    WHERE t.run_id = wanted.run_id AND t.step = wanted.step AND t.generation = wanted.generation
) AS made;
