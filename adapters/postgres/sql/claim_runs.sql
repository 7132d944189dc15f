-- Candidates are ranked without locks, flow by flow through the index, so that another flow's backlog is never
-- scanned; then they are locked one by one in that order until `limit` of them are ours. No run is claimed twice:
-- a candidate that changed meanwhile is looked at again under its lock.
WITH ranked AS MATERIALIZED (
    SELECT candidate.id, candidate.priority, candidate.created_at
    FROM unnest(%(flow_ids)s) AS served (flow_id)
    CROSS JOIN LATERAL (
        SELECT r.id, r.priority, r.created_at
        FROM fairlead.runs AS r
        WHERE r.pending AND r.flow_id = served.flow_id
        ORDER BY r.priority DESC, r.created_at, r.id
        LIMIT %(window)s
    ) AS candidate
    ORDER BY candidate.priority DESC, candidate.created_at, candidate.id
    LIMIT %(window)s
), locked AS MATERIALIZED (
    SELECT mine.*, ranked.created_at
    FROM ranked
    CROSS JOIN LATERAL (
        SELECT
            r.id, r.flow_id, r.flow, r.generation, r.priority, r.next_sequence, r.facts, r.input, r.config,
            r.signals
        FROM fairlead.runs AS r
        WHERE r.id = ranked.id AND r.pending
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS mine
    LIMIT %(limit)s
)
SELECT
    counted.candidates, locked.id::text, locked.flow_id, locked.flow, locked.generation, locked.priority,
    locked.next_sequence, locked.facts, locked.input, locked.config, locked.signals
FROM (SELECT count(*)::integer AS candidates FROM ranked) AS counted
LEFT JOIN locked ON true
ORDER BY locked.priority DESC, locked.created_at, locked.id;
