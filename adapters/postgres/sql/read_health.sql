-- What waits, and since when: each part reads a partial index of what has not ended.
WITH waiting AS (
    SELECT NULL::text AS queue, r.flow, r.version, count(*)::integer AS count, min(r.created_at) AS since
    FROM fairlead.runs AS r
    WHERE r.pending
    GROUP BY r.flow, r.version
    UNION ALL
    SELECT t.queue, f.slug, f.version, sum(t.count)::integer, min(t.since)
    FROM (
        SELECT q.queue, q.flow_id, count(*) AS count, min(q.ready_at) AS since
        FROM fairlead.tasks AS q
        WHERE q.queued AND q.ready_at <= %(now)s
        GROUP BY q.queue, q.flow_id
    ) AS t
    JOIN fairlead.flows AS f ON f.id = t.flow_id
    GROUP BY t.queue, f.slug, f.version
)
SELECT 'waiting' AS kind, w.queue, w.flow, w.version, w.count, w.since FROM waiting AS w
UNION ALL
SELECT 'leases', NULL, NULL, NULL, count(*)::integer, min(t.lease_until)
FROM fairlead.tasks AS t
WHERE t.running AND t.lease_until <= %(now)s
UNION ALL
SELECT 'waits', NULL, NULL, NULL, count(*)::integer, min(t.wake_at)
FROM fairlead.tasks AS t
WHERE t.wake_at <= %(now)s
UNION ALL
SELECT 'deadlines', NULL, NULL, NULL, count(*)::integer, min(r.deadline_at)
FROM fairlead.runs AS r
WHERE r.deadline_at <= %(now)s
UNION ALL
SELECT 'events', NULL, NULL, NULL, count(*)::integer, min(o.at)
FROM fairlead.outbox AS o
WHERE NOT o.published
UNION ALL
SELECT 'commands', NULL, NULL, NULL, count(*)::integer, min(s.due_at)
FROM fairlead.scheduled AS s
WHERE s.due_at <= %(now)s
UNION ALL
SELECT 'held', NULL, NULL, NULL, count(*)::integer, NULL
FROM fairlead.scheduled AS s
WHERE s.due_at IS NULL AND s.problem IS NOT NULL;
