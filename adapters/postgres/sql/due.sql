-- All that an idle host needs to know, in one statement; each question is one probe of an index per flow and queue.
-- The probes are ordered, though any row would do: an order that an index has keeps a planner from reading a table in
-- the hope of meeting a row early.
WITH RECURSIVE groups AS (
    SELECT queue, flow_id, lost, (
        SELECT t.priority
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.queue = asked.queue AND t.flow_id = asked.flow_id AND t.lost = asked.lost
        ORDER BY t.priority DESC
        LIMIT 1
    ) AS priority
    FROM (
        SELECT queue, flow_id, lost
        FROM unnest(%(queues)s) AS q (queue)
        CROSS JOIN unnest(%(flow_ids)s) AS f (flow_id)
        CROSS JOIN (VALUES (false), (true)) AS l (lost)
    ) AS asked
    UNION ALL
    SELECT queue, flow_id, lost, (
        SELECT t.priority
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.queue = higher.queue AND t.flow_id = higher.flow_id AND t.lost = higher.lost
            AND t.priority < higher.priority
        ORDER BY t.priority DESC
        LIMIT 1
    )
    FROM groups AS higher
    WHERE higher.priority IS NOT NULL
), ready AS (
    SELECT min(earliest.ready_at) AS ready_at
    FROM groups
    CROSS JOIN LATERAL (
        SELECT t.ready_at
        FROM fairlead.tasks AS t
        WHERE t.queued AND t.queue = groups.queue AND t.flow_id = groups.flow_id AND t.lost = groups.lost
            AND t.priority = groups.priority
        ORDER BY t.ready_at
        LIMIT 1
    ) AS earliest
    WHERE groups.priority IS NOT NULL
), waits AS (
    SELECT min(earliest.wake_at) AS wake_at
    FROM unnest(%(flow_ids)s) AS f (flow_id)
    CROSS JOIN LATERAL (
        SELECT t.wake_at
        FROM fairlead.tasks AS t
        WHERE t.wake_at IS NOT NULL AND t.flow_id = f.flow_id
        ORDER BY t.wake_at
        LIMIT 1
    ) AS earliest
), deadlines AS (
    SELECT min(earliest.deadline_at) AS deadline_at
    FROM (
        SELECT r.deadline_at
        FROM fairlead.runs AS r
        WHERE r.deadline_at IS NOT NULL
        ORDER BY r.deadline_at
        LIMIT 1
    ) AS earliest
), scheduled AS (
    SELECT min(earliest.ready_at) AS ready_at
    FROM (
        SELECT '' AS flow
        UNION
        SELECT f.slug FROM fairlead.flows AS f WHERE f.id = ANY (%(flow_ids)s)
    ) AS served
    CROSS JOIN LATERAL (
        SELECT s.ready_at
        FROM fairlead.scheduled AS s
        WHERE s.ready_at IS NOT NULL AND s.flow = served.flow
        ORDER BY s.ready_at
        LIMIT 1
    ) AS earliest
), sinks AS MATERIALIZED (
    SELECT k.id, k.name, 1 << k.id AS bit, CASE WHEN k.not_before > %(now)s THEN k.not_before END AS paused_until
    FROM fairlead.sinks AS k
    WHERE k.name = ANY (%(sinks)s) AND NOT k.removed
), masks AS (
    -- For each sink the masks of others on unpublished rows, skipping those that it has passed; see lease_shards.
    SELECT id, bit, (
        SELECT o.passed FROM fairlead.outbox AS o WHERE NOT o.published ORDER BY o.passed LIMIT 1
    ) AS passed
    FROM sinks
    UNION ALL
    SELECT id, bit, (
        SELECT o.passed
        FROM fairlead.outbox AS o
        WHERE NOT o.published AND o.passed > (masks.passed | (bit - 1))
        ORDER BY o.passed
        LIMIT 1
    )
    FROM masks
    WHERE (masks.passed & bit) <> 0
), owed AS (
    SELECT
        sinks.name,
        greatest(sinks.paused_until, first.at) AS owed_at
    FROM sinks
    CROSS JOIN LATERAL (
        SELECT least(
            (
                SELECT %(now)s::timestamptz
                FROM masks
                WHERE masks.id = sinks.id AND masks.passed IS NOT NULL AND (masks.passed & sinks.bit) = 0
                LIMIT 1
            ),
            (
                SELECT h.not_before
                FROM fairlead.held_runs AS h
                WHERE h.sink = sinks.id
                ORDER BY h.not_before
                LIMIT 1
            ),
            (
                SELECT %(now)s::timestamptz
                FROM fairlead.dead_letters AS d
                WHERE d.sink = sinks.id AND d.asked_at IS NOT NULL
                ORDER BY d.shard, d.run_id, d.sequence
                LIMIT 1
            )
        ) AS at
    ) AS first
    WHERE first.at IS NOT NULL
)
SELECT
    EXISTS (
        SELECT FROM unnest(%(flow_ids)s) AS f (flow_id)
        CROSS JOIN LATERAL (
            SELECT r.id FROM fairlead.runs AS r
            WHERE r.pending AND r.flow_id = f.flow_id
            ORDER BY r.priority DESC, r.created_at, r.id
            LIMIT 1
        ) AS r
    ),
    coalesce(ready.ready_at <= %(now)s, false),
    (
        SELECT t.lease_until
        FROM fairlead.tasks AS t
        WHERE t.running AND t.lease_until < %(expired_before)s AND t.flow_id = ANY (%(flow_ids)s)
        ORDER BY t.lease_until
        LIMIT 1
    ) IS NOT NULL,
    ARRAY(SELECT owed.name FROM owed WHERE owed.owed_at <= %(now)s),
    coalesce(waits.wake_at <= %(now)s, false),
    coalesce(deadlines.deadline_at <= %(now)s, false),
    coalesce(scheduled.ready_at <= %(now)s, false),
    least(
        CASE WHEN ready.ready_at > %(now)s THEN ready.ready_at END,
        CASE WHEN waits.wake_at > %(now)s THEN waits.wake_at END,
        CASE WHEN deadlines.deadline_at > %(now)s THEN deadlines.deadline_at END,
        CASE WHEN scheduled.ready_at > %(now)s THEN scheduled.ready_at END,
        (SELECT min(owed.owed_at) FROM owed WHERE owed.owed_at > %(now)s)
    )
FROM ready
CROSS JOIN waits
CROSS JOIN deadlines
CROSS JOIN scheduled;
