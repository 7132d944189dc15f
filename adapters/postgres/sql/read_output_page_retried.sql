-- As read_output_page, for a map that was retried: the generations since `retry_of` count, and at most one of them has
-- the output of an element. They are probed element by element, in order, so that nothing needs to be sorted.
SELECT latest.generation, latest.retry_of, latest.status, latest.elements, t.element, t.fits,
    CASE WHEN t.fits THEN t.output END
FROM (
    SELECT
        s.generation, s.retry_of, s.status, s.elements,
        ARRAY(SELECT generate_series(coalesce(s.retry_of, s.generation), s.generation)) AS generations
    FROM fairlead.steps AS s
    WHERE s.run_id = %(run)s AND s.slug = %(step)s
    ORDER BY s.generation DESC
    LIMIT 1
) AS latest
LEFT JOIN LATERAL (
    SELECT
        sized.element, sized.output,
        sized.element = %(first)s OR sized.bytes_to_here <= %(size_bytes_max)s AS fits
    FROM (
        SELECT
            one.element, one.output, one.bytes,
            row_number() OVER so_far AS place,
            sum(one.bytes) OVER so_far AS bytes_to_here
        FROM (
            SELECT each.element, done.output, coalesce(octet_length(done.output::text), 0) AS bytes
            FROM generate_series(%(first)s::integer, least(%(last)s::integer, latest.elements - 1)) AS each (element)
            LEFT JOIN LATERAL (
                SELECT t.output
                FROM fairlead.tasks AS t
                WHERE t.run_id = %(run)s
                    AND t.step = %(step)s
                    AND t.generation = ANY (latest.generations)
                    AND t.element = each.element
                    AND t.output IS NOT NULL
                LIMIT 1
            ) AS done ON true
            WHERE latest.status = 'completed'
        ) AS one
        WINDOW so_far AS (ORDER BY one.element ROWS UNBOUNDED PRECEDING)
    ) AS sized
    WHERE sized.place <= 2 OR sized.bytes_to_here - sized.bytes <= %(size_bytes_max)s
) AS t ON true
ORDER BY t.element;
