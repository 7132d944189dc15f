-- Every transition is in the table, so every status is known, and rows of one run never stand where no transition
-- leads to.
SELECT format('run %s (%s) has an unknown status', r.id, r.status)
FROM fairlead.runs AS r
WHERE r.status NOT IN ('pending', 'running', 'completed', 'failed', 'cancelled')
UNION ALL
SELECT format('run %s (%s) has started', r.id, r.status)
FROM fairlead.runs AS r
WHERE r.status = 'pending'
    AND (r.started_at IS NOT NULL
        OR EXISTS (SELECT FROM fairlead.steps AS s WHERE s.run_id = r.id)
        OR EXISTS (SELECT FROM fairlead.tasks AS t WHERE t.run_id = r.id))
UNION ALL
SELECT format('run %s (%s) has never started', r.id, r.status)
FROM fairlead.runs AS r
WHERE r.status IN ('running', 'completed') AND r.started_at IS NULL
UNION ALL
SELECT format('step %s/%s/%s (%s) has an unknown status', s.run_id, s.slug, s.generation, s.status)
FROM fairlead.steps AS s
WHERE s.status NOT IN ('created', 'running', 'suspended', 'completed', 'failed', 'skipped', 'cancelled')
UNION ALL
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) belongs to a step that has not started',
    t.run_id, t.step, t.generation, t.element, t.status, t.token
)
FROM fairlead.tasks AS t
LEFT JOIN fairlead.steps AS s ON s.run_id = t.run_id AND s.slug = t.step AND s.generation = t.generation
WHERE s.run_id IS NULL OR s.status = 'created' OR (s.status = 'skipped' AND s.started_at IS NULL)
UNION ALL
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) was never claimed',
    t.run_id, t.step, t.generation, t.element, t.status, t.token
)
FROM fairlead.tasks AS t
WHERE (t.status = 'running' AND t.token = 0)
    OR t.status NOT IN ('queued', 'running', 'suspended', 'completed', 'failed', 'cancelled');
