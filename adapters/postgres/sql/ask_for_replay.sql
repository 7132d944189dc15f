WITH chosen AS MATERIALIZED (
    SELECT d.sink, d.run_id, d.sequence
    FROM fairlead.dead_letters AS d
    JOIN fairlead.sinks AS k ON k.id = d.sink
    WHERE d.asked_at IS NULL
        AND (%(sink)s::text IS NULL OR k.name = %(sink)s)
        AND (%(run)s::uuid IS NULL OR d.run_id = %(run)s)
        AND (%(sequence)s::integer IS NULL OR d.sequence = %(sequence)s)
        AND (%(type)s::text IS NULL OR d.type = %(type)s)
        AND (%(flow)s::text IS NULL OR d.flow = %(flow)s)
    ORDER BY d.sink, d.run_id, d.sequence
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF d
)
UPDATE fairlead.dead_letters AS d
SET asked_at = %(now)s
FROM chosen
WHERE d.sink = chosen.sink AND d.run_id = chosen.run_id AND d.sequence = chosen.sequence AND d.asked_at IS NULL
RETURNING true;
