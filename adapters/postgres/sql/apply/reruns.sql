-- Terminal is absorbing per generation: I1. Only a run that has ended begins anew, and only in the next generation.
UPDATE fairlead.runs AS r
SET
    generation = new.generation,
    status = new.status,
    next_sequence = new.next_sequence,
    remaining_steps = new.remaining_steps,
    signals = new.signals,
    deadline_at = CASE WHEN new.status NOT IN ('completed', 'failed', 'cancelled') THEN new.deadline_at END,
    started_at = new.started_at,
    ended_at = new.ended_at,
    reason = new.reason,
    error = new.error
FROM unnest(
    %(reruns)s, %(rerun_generations)s, %(rerun_statuses)s, %(rerun_next_sequences)s, %(rerun_remaining_steps)s,
    %(rerun_signals)s, %(rerun_deadline_ats)s, %(rerun_started_ats)s, %(rerun_ended_ats)s, %(rerun_reasons)s, %(rerun_errors)s
) AS new (
    id, generation, status, next_sequence, remaining_steps, signals, deadline_at, started_at, ended_at, reason, error
)
WHERE r.id = new.id
    AND r.generation = new.generation - 1
    AND r.status IN ('completed', 'failed', 'cancelled')
RETURNING 1;
