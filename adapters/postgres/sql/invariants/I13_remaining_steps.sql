-- `remaining_steps` equals the counted rows and is >= 0.
WITH live AS (
    SELECT latest.run_id, count(*) AS steps
    FROM (
        SELECT DISTINCT ON (s.run_id, s.slug) s.run_id, s.status
        FROM fairlead.steps AS s
        ORDER BY s.run_id, s.slug, s.generation DESC
    ) AS latest
    WHERE latest.status IN ('created', 'running', 'suspended')
    GROUP BY latest.run_id
)
SELECT format(
    'run %s (%s) has %s remaining steps, %s are live', r.id, r.status, r.remaining_steps, coalesce(live.steps, 0)
)
FROM fairlead.runs AS r
LEFT JOIN live ON live.run_id = r.id
WHERE r.remaining_steps < 0 OR (r.status = 'running' AND r.remaining_steps <> coalesce(live.steps, 0));
