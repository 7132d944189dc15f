-- Terminal is absorbing per generation: what is terminal has an end, what is not has none.
SELECT format('run %s (%s) ended at %s', r.id, r.status, r.ended_at)
FROM fairlead.runs AS r
WHERE (r.status IN ('completed', 'failed', 'cancelled')) = (r.ended_at IS NULL)
UNION ALL
SELECT format('step %s/%s/%s (%s) ended at %s', s.run_id, s.slug, s.generation, s.status, s.ended_at)
FROM fairlead.steps AS s
WHERE (s.status IN ('completed', 'failed', 'skipped', 'cancelled')) = (s.ended_at IS NULL)
UNION ALL
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) ended at %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.ended_at
)
FROM fairlead.tasks AS t
WHERE (t.status IN ('completed', 'failed', 'cancelled')) = (t.ended_at IS NULL);
