SELECT
    k.name, d.run_id::text, d.sequence, d.generation, d.flow, d.type, d.step, d.at, d.attempts, d.problem, d.died_at,
    d.asked_at, d.event
FROM fairlead.dead_letters AS d
JOIN fairlead.sinks AS k ON k.id = d.sink
WHERE (%(sink)s::text IS NULL OR k.name = %(sink)s)
    AND (%(run)s::uuid IS NULL OR d.run_id = %(run)s)
    AND (%(sequence)s::integer IS NULL OR d.sequence = %(sequence)s)
    AND (%(type)s::text IS NULL OR d.type = %(type)s)
    AND (%(flow)s::text IS NULL OR d.flow = %(flow)s)
    AND (%(asked)s::boolean IS NULL OR (d.asked_at IS NOT NULL) = %(asked)s)
    AND (%(after_sink)s::text IS NULL
        OR (k.name, d.run_id, d.sequence) > (%(after_sink)s, %(after_run)s::uuid, %(after_sequence)s::integer))
ORDER BY k.name, d.run_id, d.sequence
LIMIT %(limit)s;
