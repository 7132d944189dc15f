-- A step is completed iff its tasks are settled within tolerance, or it is an empty map.
SELECT format(
    'step %s/%s/%s (%s) has %s of %s tasks to settle',
    s.run_id, s.slug, s.generation, s.status, s.remaining_tasks, s.elements
)
FROM fairlead.steps AS s
JOIN fairlead.runs AS r ON r.id = s.run_id
WHERE (s.status = 'completed' AND (s.elements IS NULL OR s.remaining_tasks IS DISTINCT FROM 0))
    OR (r.status = 'running' AND s.status IN ('created', 'running', 'suspended') AND s.remaining_tasks = 0);
