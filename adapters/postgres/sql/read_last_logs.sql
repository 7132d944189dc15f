SELECT *
FROM (
    SELECT
        l.run_id::text, l.step, l.generation, l.element, l.number, l.token, l.attempt, l.at, l.level, l.message,
        l.fields
    FROM fairlead.logs AS l
    WHERE l.run_id = %(run)s::uuid AND l.number > %(after)s
    ORDER BY l.number DESC
    LIMIT %(limit)s
) AS last
ORDER BY last.number;
