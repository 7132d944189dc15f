-- As lock_runs, waiting for those that another transaction holds.
SELECT
    mine.id::text, mine.flow_id, mine.flow, mine.status, mine.generation, mine.priority,
    mine.next_sequence, mine.remaining_steps, mine.facts, mine.signals, mine.deadline_at
FROM unnest(%(runs)s) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT
        r.id, r.flow_id, r.flow, r.status, r.generation, r.priority, r.next_sequence, r.remaining_steps, r.facts,
        r.signals, r.deadline_at
    FROM fairlead.runs AS r
    WHERE r.id = wanted.id
    FOR NO KEY UPDATE
) AS mine;
