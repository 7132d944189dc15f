-- Terminal is absorbing per generation: what is terminal has an end, what is not has none. Only a running run has a
-- deadline.
SELECT format('run %s (%s) ended at %s', r.id, r.status, r.ended_at)
FROM fairlead.runs AS r
WHERE (r.status IN ('completed', 'failed', 'cancelled')) = (r.ended_at IS NULL)
UNION ALL
SELECT format('run %s (%s) in generation %s has left %s of them', r.id, r.status, r.generation, ended.number)
FROM fairlead.runs AS r
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (
            WHERE g.status IN ('completed', 'failed', 'cancelled') AND g.generation BETWEEN 1 AND r.generation - 1
        ) AS well,
        count(*) AS number
    FROM fairlead.run_generations AS g
    WHERE g.run_id = r.id
) AS ended
WHERE ended.well <> r.generation - 1 OR ended.number <> r.generation - 1
UNION ALL
SELECT format('run %s (%s) has a deadline at %s', r.id, r.status, r.deadline_at)
FROM fairlead.runs AS r
WHERE r.deadline_at IS NOT NULL AND r.status <> 'running'
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
