-- A run is completed iff its steps are settled well.
WITH counted AS (
    SELECT
        latest.run_id,
        count(*) FILTER (WHERE latest.status NOT IN ('completed', 'skipped')) AS ill,
        count(*) FILTER (WHERE latest.status IN ('created', 'running', 'suspended')) AS live
    FROM (
        SELECT DISTINCT ON (s.run_id, s.slug) s.run_id, s.status
        FROM fairlead.steps AS s
        ORDER BY s.run_id, s.slug, s.generation DESC
    ) AS latest
    GROUP BY latest.run_id
)
SELECT format('run %s (%s) has %s unsettled steps', r.id, r.status, coalesce(counted.ill, 0))
FROM fairlead.runs AS r
LEFT JOIN counted ON counted.run_id = r.id
WHERE r.status = 'completed' AND (coalesce(counted.ill, 0) > 0 OR r.remaining_steps <> 0)
UNION ALL
SELECT format('run %s (%s) has nothing left to do', r.id, r.status)
FROM fairlead.runs AS r
LEFT JOIN counted ON counted.run_id = r.id
WHERE r.status = 'running' AND coalesce(counted.live, 0) = 0;
