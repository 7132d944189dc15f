-- A suspended step has exactly one thing it waits for: its one live task, which is suspended.
SELECT format(
    'step %s/%s/%s (%s) has live tasks that are %s', s.run_id, s.slug, s.generation, s.status, live.statuses
)
FROM fairlead.steps AS s
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(t.status), '{}') AS statuses
    FROM fairlead.tasks AS t
    WHERE t.run_id = s.run_id AND t.step = s.slug AND t.generation = s.generation
        AND t.status IN ('queued', 'running', 'suspended')
) AS live
WHERE s.status = 'suspended' AND live.statuses <> ARRAY['suspended'];
