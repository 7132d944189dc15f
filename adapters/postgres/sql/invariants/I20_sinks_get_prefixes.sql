-- What a sink received of a run, deduplicated, is a prefix: it has no row behind one that it has not. So no published row
-- follows one that is not, unless no sink is known, and a sink's place in a run is before the first row that it has not.
-- Rows are looked at from those that are not published. While a removal goes on, what it has not come to yet is left
-- alone.
WITH sinks AS (
    SELECT k.id, k.name, 1 << k.id AS bit FROM fairlead.sinks AS k WHERE NOT k.removed
), waiting AS (
    SELECT o.run_id, o.first_sequence, o.count, o.delivered FROM fairlead.outbox AS o WHERE NOT o.published
)
SELECT format(
    'the row at event %s of run %s is published, the one at %s is not', o.first_sequence, o.run_id, w.first_sequence
)
FROM waiting AS w
JOIN fairlead.outbox AS o ON o.run_id = w.run_id AND o.first_sequence > w.first_sequence AND o.published
WHERE EXISTS (SELECT FROM sinks) AND NOT EXISTS (SELECT FROM fairlead.sinks AS k WHERE k.removed)
UNION ALL
SELECT format('sink %s has the row at event %s of run %s and not the row before it', s.name, w.first_sequence, w.run_id)
FROM (
    SELECT
        waiting.*,
        lag(waiting.delivered) OVER (PARTITION BY waiting.run_id ORDER BY waiting.first_sequence) AS before
    FROM waiting
) AS w
JOIN sinks AS s ON (w.delivered & s.bit) <> 0 AND (w.before & s.bit) = 0
UNION ALL
SELECT format('sink %s is held at event %s of run %s, and has less', s.name, h.next_sequence, h.run_id)
FROM fairlead.held_runs AS h
JOIN sinks AS s ON s.id = h.sink
CROSS JOIN LATERAL (
    SELECT w.first_sequence + w.count AS ends
    FROM waiting AS w
    WHERE w.run_id = h.run_id AND (w.delivered & s.bit) = 0
    ORDER BY w.first_sequence
    LIMIT 1
) AS first
WHERE first.ends <= h.next_sequence;
