-- Dead + published = all: a row that a sink has not is fresh to it, or held together with its run, so that it is looked
-- at again; dead letters are events of their runs, and behind their sink's place.
WITH sinks AS (
    SELECT k.id, k.name, 1 << k.id AS bit FROM fairlead.sinks AS k WHERE NOT k.removed
)
SELECT format('the row at event %s of run %s is held for sink %s, its run is not', o.first_sequence, o.run_id, s.name)
FROM fairlead.outbox AS o
JOIN sinks AS s ON (o.held & s.bit) <> 0
LEFT JOIN fairlead.held_runs AS h ON h.sink = s.id AND h.run_id = o.run_id
WHERE NOT o.published AND (h.run_id IS NULL OR (o.delivered & s.bit) <> 0)
UNION ALL
SELECT format('dead letter %s of run %s for sink %s is no event of its run', d.sequence, d.run_id, s.name)
FROM fairlead.dead_letters AS d
JOIN sinks AS s ON s.id = d.sink
WHERE NOT EXISTS (
    SELECT FROM fairlead.outbox AS o
    WHERE o.run_id = d.run_id AND o.first_sequence <= d.sequence AND o.first_sequence + o.count > d.sequence
)
UNION ALL
SELECT format('dead letter %s of run %s is still to be offered to sink %s', d.sequence, d.run_id, s.name)
FROM fairlead.dead_letters AS d
JOIN sinks AS s ON s.id = d.sink
JOIN fairlead.outbox AS o
    ON o.run_id = d.run_id AND o.first_sequence <= d.sequence AND o.first_sequence + o.count > d.sequence
LEFT JOIN fairlead.held_runs AS h ON h.sink = s.id AND h.run_id = d.run_id
WHERE NOT o.published
    AND (o.delivered & s.bit) = 0
    AND NOT coalesce((h.next_sequence, h.lost) >= (d.sequence, true), false);
