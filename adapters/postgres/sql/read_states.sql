-- What checks are given: one probe of the primary key for each task.
SELECT wanted.place, found.state
FROM unnest(%(run_ids)s, %(steps)s, %(generations)s, %(elements)s)
    WITH ORDINALITY AS wanted (run_id, step, generation, element, place)
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
