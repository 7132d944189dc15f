SELECT count(*)
FROM fairlead.dead_letters AS d
JOIN fairlead.sinks AS k ON k.id = d.sink
WHERE (%(sink)s::text IS NULL OR k.name = %(sink)s)
    AND (%(run)s::uuid IS NULL OR d.run_id = %(run)s)
    AND (%(sequence)s::integer IS NULL OR d.sequence = %(sequence)s)
    AND (%(type)s::text IS NULL OR d.type = %(type)s)
    AND (%(flow)s::text IS NULL OR d.flow = %(flow)s)
    AND (%(asked)s::boolean IS NULL OR (d.asked_at IS NOT NULL) = %(asked)s);
