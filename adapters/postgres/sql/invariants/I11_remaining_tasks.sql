-- `remaining_tasks` = elements - gaps - kept - terminal tasks; `failed_tasks` and `cursor` equal the counted rows;
-- all are >= 0. A step that was cut short keeps its counters as they were.
WITH counted AS (
    SELECT
        t.run_id, t.step, t.generation, count(*) AS found,
        count(*) FILTER (WHERE t.status = 'failed') AS failed,
        count(*) FILTER (WHERE t.status IN ('completed', 'failed', 'cancelled')) AS terminal
    FROM fairlead.tasks AS t
    GROUP BY t.run_id, t.step, t.generation
)
SELECT format(
    'step %s/%s/%s (%s) has remaining tasks %s, failed %s, cursor %s, gaps %s; counted (%s, %s, %s)',
    s.run_id, s.slug, s.generation, s.status, s.remaining_tasks, s.failed_tasks, s.cursor, s.gaps,
    s.elements - s.gaps - s.kept - coalesce(c.terminal, 0), coalesce(c.failed, 0), coalesce(c.found, 0)
)
FROM fairlead.steps AS s
JOIN fairlead.runs AS r ON r.id = s.run_id AND r.status = 'running'
LEFT JOIN counted AS c ON c.run_id = s.run_id AND c.step = s.slug AND c.generation = s.generation
WHERE s.status IN ('created', 'running', 'suspended', 'completed')
    AND (s.remaining_tasks IS DISTINCT FROM s.elements - s.gaps - s.kept - coalesce(c.terminal, 0)
        OR s.failed_tasks <> coalesce(c.failed, 0)
        OR s.cursor <> coalesce(c.found, 0)
        OR s.remaining_tasks < 0
        OR s.gaps < 0);
