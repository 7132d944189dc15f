-- As claim_runs, for the runs that a transport's messages named.
SELECT
    0, mine.id::text, mine.flow_id, mine.flow, mine.generation, mine.priority,
    mine.next_sequence, mine.facts, mine.input, mine.config, mine.signals
FROM (
    SELECT r.id
    FROM unnest(%(runs)s) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT id, priority, created_at
        FROM fairlead.runs
        WHERE id = wanted.id AND pending AND flow_id = ANY (%(flow_ids)s)
        LIMIT 1
    ) AS r
    ORDER BY r.priority DESC, r.created_at, r.id
) AS ranked
CROSS JOIN LATERAL (
    SELECT
        r.id, r.flow_id, r.flow, r.generation, r.priority, r.next_sequence, r.facts, r.input, r.config, r.signals
    FROM fairlead.runs AS r
    WHERE r.id = ranked.id AND r.pending
    FOR NO KEY UPDATE SKIP LOCKED
) AS mine
LIMIT %(limit)s;
