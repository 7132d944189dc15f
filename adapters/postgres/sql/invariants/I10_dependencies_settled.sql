-- A step starts only when every dependency is settled as its policy allows, and then at once.
SELECT format(
    'step %s/%s/%s (%s) waits for %s dependencies',
    s.run_id, s.slug, s.generation, s.status, s.remaining_dependencies
)
FROM fairlead.steps AS s
JOIN fairlead.runs AS r ON r.id = s.run_id
WHERE (s.status IN ('running', 'suspended', 'completed') AND s.remaining_dependencies <> 0)
    OR (s.status = 'created' AND r.status = 'running' AND s.remaining_dependencies = 0);
