-- Every wake is consumed once: a signal is kept or has completed one task, and nothing waits beside a kept one.
SELECT format('run %s (%s) has %s kept signals, counted %s', kept.run_id, r.status, r.signals, kept.number)
FROM (
    SELECT s.run_id, count(*) FILTER (WHERE s.consumed_at IS NULL) AS number
    FROM fairlead.signals AS s
    GROUP BY s.run_id
) AS kept
LEFT JOIN fairlead.runs AS r ON r.id = kept.run_id
WHERE r.signals IS DISTINCT FROM kept.number
UNION ALL
SELECT format('run %s (%s) has %s kept signals, counted 0', r.id, r.status, r.signals)
FROM fairlead.runs AS r
WHERE r.signals <> 0 AND NOT EXISTS (SELECT FROM fairlead.signals AS s WHERE s.run_id = r.id)
UNION ALL
SELECT format(
    'step %s/%s %s and has %s kept signals', kept.run_id, kept.step,
    CASE WHEN kept.waits THEN 'waits' ELSE 'does not wait' END, kept.number
)
FROM (
    SELECT
        s.run_id, s.step, count(*) AS number,
        EXISTS (
            SELECT FROM fairlead.tasks AS t WHERE t.run_id = s.run_id AND t.step = s.step AND t.waits_for = 'signal'
        ) AS waits
    FROM fairlead.signals AS s
    WHERE s.consumed_at IS NULL
    GROUP BY s.run_id, s.step
) AS kept
WHERE kept.number > 1 OR kept.waits
UNION ALL
SELECT format(
    'step %s/%s consumed %s signals at %s, which completed %s tasks',
    consumed.run_id, consumed.step, consumed.number, consumed.at, consumed.completed
)
FROM (
    SELECT
        s.run_id, s.step, s.consumed_at AS at, count(*) AS number,
        (
            SELECT count(*)
            FROM fairlead.tasks AS t
            WHERE t.run_id = s.run_id AND t.step = s.step AND t.status = 'completed' AND t.ended_at = s.consumed_at
        ) AS completed
    FROM fairlead.signals AS s
    WHERE s.consumed_at IS NOT NULL
    GROUP BY s.run_id, s.step, s.consumed_at
) AS consumed
WHERE consumed.number > consumed.completed;
