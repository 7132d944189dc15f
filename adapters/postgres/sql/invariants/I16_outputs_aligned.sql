-- Map outputs are aligned by index: a completed step has every element once, but for its gaps; outputs are of
-- completed tasks.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) has %soutput',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, CASE WHEN t.output IS NULL THEN 'no ' ELSE '' END
)
FROM fairlead.tasks AS t
WHERE (t.output IS NOT NULL) <> (t.status = 'completed')
UNION ALL
SELECT format(
    'step %s/%s/%s (%s) has %s elements, %s of them gaps, and %s tasks up to element %s',
    s.run_id, s.slug, s.generation, s.status, s.elements, s.gaps, found.number, found.last
)
FROM fairlead.steps AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS number, min(t.element) AS first, max(t.element) AS last
    FROM fairlead.tasks AS t
    WHERE t.run_id = s.run_id AND t.step = s.slug AND t.generation = s.generation
) AS found
WHERE (s.status = 'completed' AND found.number <> coalesce(s.elements, 0) - s.gaps)
    OR found.first < 0
    OR found.last >= coalesce(s.elements, 0);
