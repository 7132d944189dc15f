-- A page is bounded in rows and in bytes: what does not fit is not sent. The first output that does not fit is named
-- without its value, so that it is told from elements that have no row. The first one wanted always fits.
SELECT latest.generation, latest.retry_of, latest.status, latest.elements, t.element, t.fits,
    CASE WHEN t.fits THEN t.output END
FROM (
    SELECT s.generation, s.retry_of, s.status, s.elements
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
            SELECT each.element, each.output, coalesce(octet_length(each.output::text), 0) AS bytes
            FROM fairlead.tasks AS each
            WHERE latest.status = 'completed'
                AND each.run_id = %(run)s
                AND each.step = %(step)s
                AND each.generation = latest.generation
                AND each.element BETWEEN %(first)s AND %(last)s
        ) AS one
        WINDOW so_far AS (ORDER BY one.element ROWS UNBOUNDED PRECEDING)
    ) AS sized
    WHERE sized.place <= 2 OR sized.bytes_to_here - sized.bytes <= %(size_bytes_max)s
) AS t ON true
ORDER BY t.element;
