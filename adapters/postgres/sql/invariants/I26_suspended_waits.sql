-- A suspended step has exactly one thing it waits for: its one live task, which is suspended or being checked. A
-- suspended task says what it waits for and when that is looked at, as it must for what it is; any other says nothing.
-- Only a map goes on while a task of it waits, and only for a check.
SELECT format(
    'step %s/%s/%s (%s) has live tasks that are %s', s.run_id, s.slug, s.generation, s.status, live.statuses
)
FROM fairlead.steps AS s
CROSS JOIN LATERAL (
    SELECT
        count(*) AS number,
        count(*) FILTER (WHERE t.status = 'suspended' OR t.phase = 'check') AS waiting,
        coalesce(array_agg(t.status), '{}') AS statuses
    FROM fairlead.tasks AS t
    WHERE t.run_id = s.run_id AND t.step = s.slug AND t.generation = s.generation
        AND t.status IN ('queued', 'running', 'suspended')
) AS live
WHERE s.status = 'suspended' AND (live.number <> 1 OR live.waiting <> 1)
UNION ALL
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) waits for %s until %s, giving up at %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.waits_for, t.wake_at, t.give_up_at
)
FROM fairlead.tasks AS t
LEFT JOIN fairlead.steps AS s ON s.run_id = t.run_id AND s.slug = t.step AND s.generation = t.generation
WHERE (t.status <> 'suspended' AND (t.waits_for IS NOT NULL OR t.wake_at IS NOT NULL))
    OR (t.status = 'suspended'
        AND (CASE t.waits_for
            WHEN 'signal' THEN s.status = 'suspended'
            WHEN 'time' THEN s.status = 'suspended' AND t.wake_at IS NOT NULL
            WHEN 'check' THEN
                s.status IN ('suspended', 'running') AND t.wake_at IS NOT NULL AND t.state IS NOT NULL
                AND t.phase = 'check' AND (t.give_up_at IS NULL OR t.give_up_at >= t.wake_at)
        END) IS NOT TRUE);
