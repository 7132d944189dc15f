DELETE FROM fairlead.dead_letters AS d
USING (
    SELECT one.run_id, one.sequence
    FROM fairlead.dead_letters AS one
    WHERE one.sink = %(sink)s
    ORDER BY one.run_id, one.sequence
    LIMIT %(limit)s
) AS chosen
WHERE d.sink = %(sink)s AND d.run_id = chosen.run_id AND d.sequence = chosen.sequence
RETURNING true;
