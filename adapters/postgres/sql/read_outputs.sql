-- One element of a map is one probe of the primary key, however many elements the map has; one of a map that was retried
-- is a probe for each generation that counts, of which at most one has its output.
SELECT wanted.place, latest.generation, latest.status, latest.elements, t.element, t.output
FROM unnest(%(run_ids)s, %(slugs)s, %(elements)s) WITH ORDINALITY AS wanted (run_id, slug, element, place)
CROSS JOIN LATERAL (
    SELECT
        s.generation, s.status, s.elements,
        CASE
            WHEN s.retry_of IS NULL THEN ARRAY[s.generation]
            ELSE ARRAY(SELECT generate_series(s.retry_of, s.generation))
        END AS generations
    FROM fairlead.steps AS s
    WHERE s.run_id = wanted.run_id AND s.slug = wanted.slug
    ORDER BY s.generation DESC
    LIMIT 1
) AS latest
LEFT JOIN LATERAL (
    SELECT one.element, one.output
    FROM fairlead.tasks AS one
    WHERE latest.status = 'completed'
        AND one.run_id = wanted.run_id
        AND one.step = wanted.slug
        AND one.generation = ANY (latest.generations)
        AND one.element BETWEEN coalesce(wanted.element, 0) AND coalesce(wanted.element, 2147483647)
        AND one.output IS NOT NULL
    OFFSET 0
) AS t ON true;
