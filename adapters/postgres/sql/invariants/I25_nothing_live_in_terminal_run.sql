-- No live task in a terminal run, nor a live step; no live task in a terminal step.
SELECT format(
    'step %s/%s/%s (%s) is live in a run that is %s', s.run_id, s.slug, s.generation, s.status, r.status
)
FROM fairlead.steps AS s
JOIN fairlead.runs AS r ON r.id = s.run_id
WHERE s.status IN ('created', 'running', 'suspended') AND r.status IN ('completed', 'failed', 'cancelled')
UNION ALL
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) is live in a run that is %s and a step that is %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, r.status, s.status
)
FROM fairlead.tasks AS t
LEFT JOIN fairlead.runs AS r ON r.id = t.run_id
LEFT JOIN fairlead.steps AS s ON s.run_id = t.run_id AND s.slug = t.step AND s.generation = t.generation
WHERE t.status IN ('queued', 'running', 'suspended')
    AND (r.id IS NULL OR r.status IN ('completed', 'failed', 'cancelled')
        OR s.run_id IS NULL OR s.status IN ('completed', 'failed', 'skipped', 'cancelled'));
