INSERT INTO fairlead.attempts (
    run_id, step, generation, element, token, attempt, worker, ended_at, reason, error
)
SELECT *
FROM unnest(
    %(attempt_runs)s, %(attempt_steps)s, %(attempt_generations)s, %(attempt_elements)s, %(attempt_tokens)s,
    %(attempt_numbers)s, %(attempt_workers)s, %(attempt_ended_ats)s, %(attempt_reasons)s, %(attempt_errors)s
)
RETURNING 1;
