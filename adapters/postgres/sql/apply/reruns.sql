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
FROM (
    SELECT
        unnest(%(reruns)s) AS id,
        unnest(%(rerun_generations)s) AS generation,
        unnest(%(rerun_statuses)s) AS status,
        unnest(%(rerun_next_sequences)s) AS next_sequence,
        unnest(%(rerun_remaining_steps)s) AS remaining_steps,
        unnest(%(rerun_signals)s) AS signals,
        unnest(%(rerun_deadline_ats)s) AS deadline_at,
        unnest(%(rerun_started_ats)s) AS started_at,
        unnest(%(rerun_ended_ats)s) AS ended_at,
        unnest(%(rerun_reasons)s) AS reason,
        unnest(%(rerun_errors)s) AS error
) AS new
WHERE r.id = new.id
    AND r.generation = new.generation - 1
    AND r.status IN ('completed', 'failed', 'cancelled')
RETURNING 1;
