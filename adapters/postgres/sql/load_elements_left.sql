-- As load_elements, for maps whose own earlier generations count, or those of the map below: which elements are left to
-- do. They are gone through one by one in ascending order and only as far as asked for, each a probe of the primary key
-- per generation; the scalar subqueries keep the planner from doing it all at once.
SELECT
    wanted.place,
    ARRAY(
        SELECT each.element
        FROM (
            SELECT generate_series(made.last + 1, wanted.elements - 1) AS element
        ) AS each
        WHERE (
                wanted.source IS NULL
                OR (
                    SELECT t.element
                    FROM fairlead.tasks AS t
                    WHERE t.run_id = wanted.run_id
                        AND t.step = wanted.source
                        AND t.generation = ANY (made.of_source)
                        AND t.element = each.element
                        AND t.status = 'completed'
                    LIMIT 1
                ) IS NOT NULL
            )
            AND (
                SELECT t.element
                FROM fairlead.tasks AS t
                WHERE t.run_id = wanted.run_id
                    AND t.step = wanted.step
                    AND t.generation = ANY (made.before)
                    AND t.element = each.element
                    AND t.status = 'completed'
                LIMIT 1
            ) IS NULL
        LIMIT wanted.most
    )
FROM unnest(
    %(run_ids)s, %(steps)s, %(generations)s, %(retries_of)s, %(elements)s, %(sources)s, %(source_generations)s,
    %(source_retries_of)s, %(limits)s
) WITH ORDINALITY AS wanted (
    run_id, step, generation, retry_of, elements, source, source_generation, source_retry_of, most, place
)
CROSS JOIN LATERAL (
    SELECT
        coalesce(
            (
                SELECT t.element
                FROM fairlead.tasks AS t
                WHERE t.run_id = wanted.run_id AND t.step = wanted.step AND t.generation = wanted.generation
                ORDER BY t.element DESC
                LIMIT 1
            ),
            -1
        ) AS last,
        ARRAY(SELECT generate_series(wanted.retry_of, wanted.generation - 1)) AS before,
        ARRAY(
            SELECT generate_series(
                coalesce(wanted.source_retry_of, wanted.source_generation), wanted.source_generation
            )
        ) AS of_source
) AS made;
