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
FROM unnest(
    %(runs)s, %(run_statuses)s, %(run_next_sequences)s, %(run_remaining_steps)s, %(run_signals)s,
    %(run_deadline_ats)s, %(run_started_ats)s, %(run_ended_ats)s, %(run_reasons)s, %(run_errors)s
) AS new (
    id, status, next_sequence, remaining_steps, signals, deadline_at, started_at, ended_at, reason, error
)
WHERE r.id = new.id
RETURNING 1;
