-- A step is completed iff its tasks are settled within tolerance, or it is a map that has none.
SELECT format(
    'step %s/%s/%s (%s) has %s tasks to settle of %s less %s',
    s.run_id, s.slug, s.generation, s.status, s.remaining_tasks, s.elements, s.gaps
)
FROM fairlead.steps AS s
JOIN fairlead.runs AS r ON r.id = s.run_id
WHERE (s.status = 'completed' AND (s.elements IS NULL OR s.remaining_tasks IS DISTINCT FROM 0))
    OR (r.status = 'running' AND s.status IN ('created', 'running', 'suspended') AND s.remaining_tasks = 0)
UNION ALL
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) belongs to a step that is completed',
    t.run_id, t.step, t.generation, t.element, t.status, t.token
)
FROM fairlead.tasks AS t
JOIN fairlead.steps AS s ON s.run_id = t.run_id AND s.slug = t.step AND s.generation = t.generation
WHERE t.status = 'cancelled' AND s.status = 'completed';
