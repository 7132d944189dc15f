-- Map outputs are aligned by index: a completed step has every element once, but for its gaps; outputs are of
-- completed tasks. What a retried map has kept of earlier generations is there, and not made again.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) has %soutput',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, CASE WHEN t.output IS NULL THEN 'no ' ELSE '' END
)
FROM fairlead.tasks AS t
WHERE (t.output IS NOT NULL) <> (t.status = 'completed')
UNION ALL
SELECT format(
    'step %s/%s/%s (%s) has %s elements, %s of them gaps and %s kept, and %s tasks up to element %s',
    s.run_id, s.slug, s.generation, s.status, s.elements, s.gaps, s.kept, found.number, found.last
)
FROM fairlead.steps AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS number, min(t.element) AS first, max(t.element) AS last
    FROM fairlead.tasks AS t
    WHERE t.run_id = s.run_id AND t.step = s.slug AND t.generation = s.generation
) AS found
WHERE (s.status = 'completed' AND found.number <> coalesce(s.elements, 0) - s.gaps - s.kept)
    OR found.first < 0
    OR found.last >= coalesce(s.elements, 0)
UNION ALL
SELECT format(
    'step %s/%s/%s (%s) has kept %s elements, not %s, and has made %s of them again',
    s.run_id, s.slug, s.generation, s.status, s.kept, before.number, before.again
)
FROM fairlead.steps AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS number, count(t.run_id) AS again
    FROM fairlead.tasks AS b
    LEFT JOIN fairlead.tasks AS t
        ON t.run_id = b.run_id AND t.step = b.step AND t.generation = s.generation AND t.element = b.element
    WHERE b.run_id = s.run_id AND b.step = s.slug AND b.status = 'completed'
        AND b.generation >= s.retry_of AND b.generation < s.generation
) AS before
WHERE before.number <> s.kept OR before.again > 0;
