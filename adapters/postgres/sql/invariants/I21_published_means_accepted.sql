-- A row is published exactly when every sink has it that is owed it: those that were registered well before it was
-- written, since hosts' clocks differ and a caller's transaction may have begun before. Where no sink is known, what an older
-- version left is nobody's: the doctor tells of it.
WITH sinks AS (
    SELECT k.id, 1 << k.id AS bit, k.registered_at FROM fairlead.sinks AS k WHERE NOT k.removed
), required AS (
    SELECT bit_or(s.bit) AS mask FROM sinks AS s
)
SELECT format('the row at event %s of run %s is published, and not every sink has it', o.first_sequence, o.run_id)
FROM fairlead.outbox AS o
JOIN sinks AS s ON (o.delivered & s.bit) = 0 AND o.at > s.registered_at + interval '1 minute'
WHERE o.published
UNION ALL
SELECT format('the row at event %s of run %s is not published, although every sink has it', o.first_sequence, o.run_id)
FROM fairlead.outbox AS o
CROSS JOIN required
WHERE NOT o.published
    AND (o.delivered & required.mask) = required.mask
    AND NOT EXISTS (SELECT FROM fairlead.sinks AS k WHERE k.removed);
