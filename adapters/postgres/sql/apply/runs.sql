UPDATE fairlead.runs AS r
SET
    status = new.status,
    next_sequence = new.next_sequence,
    remaining_steps = new.remaining_steps,
    signals = new.signals,
    deadline_at = CASE
        WHEN new.status NOT IN ('completed', 'failed', 'cancelled') THEN coalesce(new.deadline_at, r.deadline_at)
    END,
    started_at = coalesce(new.started_at, r.started_at),
    ended_at = coalesce(new.ended_at, r.ended_at),
    reason = coalesce(new.reason, r.reason),
    error = coalesce(new.error, r.error)
FROM (
    SELECT
        unnest(%(runs)s) AS id,
        unnest(%(run_statuses)s) AS status,
        unnest(%(run_next_sequences)s) AS next_sequence,
        unnest(%(run_remaining_steps)s) AS remaining_steps,
        unnest(%(run_signals)s) AS signals,
        unnest(%(run_deadline_ats)s) AS deadline_at,
        unnest(%(run_started_ats)s) AS started_at,
        unnest(%(run_ended_ats)s) AS ended_at,
        unnest(%(run_reasons)s) AS reason,
        unnest(%(run_errors)s) AS error
) AS new
WHERE r.id = new.id
RETURNING 1;
