-- `remaining_dependencies` is >= 0, and no step waits for more than is unsettled.
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
    'step %s/%s/%s (%s) waits for %s dependencies, %s steps are live',
    s.run_id, s.slug, s.generation, s.status, s.remaining_dependencies, coalesce(live.steps, 0)
)
FROM fairlead.steps AS s
JOIN fairlead.runs AS r ON r.id = s.run_id
LEFT JOIN live ON live.run_id = s.run_id
WHERE s.remaining_dependencies < 0
    OR (r.status = 'running' AND s.status = 'created' AND s.remaining_dependencies >= coalesce(live.steps, 0));
