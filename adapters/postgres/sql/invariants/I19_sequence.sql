-- The sequence per run is 1...n, and the run knows what comes next.
WITH rows AS (
    SELECT
        o.run_id, o.first_sequence, o.count,
        CASE json_typeof(o.events) WHEN 'array' THEN json_array_length(o.events) ELSE 0 END AS told,
        coalesce(lag(o.first_sequence + o.count) OVER (PARTITION BY o.run_id ORDER BY o.first_sequence), 1) AS expected
    FROM fairlead.outbox AS o
)
SELECT format('run %s has event %s where %s should be', rows.run_id, rows.first_sequence, rows.expected)
FROM rows
WHERE rows.first_sequence <> rows.expected
UNION ALL
SELECT format('run %s has %s events at %s, not %s', rows.run_id, rows.told, rows.first_sequence, rows.count)
FROM rows
WHERE rows.told <> rows.count
UNION ALL
SELECT format('run %s (%s) continues with %s, not %s', r.id, r.status, r.next_sequence, coalesce(last.next, 1))
FROM fairlead.runs AS r
LEFT JOIN (
    SELECT o.run_id, max(o.first_sequence + o.count) AS next FROM fairlead.outbox AS o GROUP BY o.run_id
) AS last ON last.run_id = r.id
WHERE r.next_sequence <> coalesce(last.next, 1);
