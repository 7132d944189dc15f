-- Which tasks of a map are completed: of each request a stretch of the primary key, in its order, as one array.
SELECT
    wanted.place,
    ARRAY(
        SELECT t.element
        FROM fairlead.tasks AS t
        WHERE t.run_id = wanted.run_id
            AND t.step = wanted.step
            AND t.generation = wanted.generation
            AND t.element >= wanted.first
            AND t.status = 'completed'
        ORDER BY t.element
        LIMIT wanted.most
    )
FROM unnest(%(run_ids)s, %(steps)s, %(generations)s, %(firsts)s, %(limits)s)
    WITH ORDINALITY AS wanted (run_id, step, generation, first, most, place);
