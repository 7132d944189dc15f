INSERT INTO fairlead.attempts (
    run_id, step, generation, element, token, attempt, worker, ended_at, reason, error
)
SELECT
    unnest(%(attempt_runs)s), unnest(%(attempt_steps)s), unnest(%(attempt_generations)s),
    unnest(%(attempt_elements)s), unnest(%(attempt_tokens)s), unnest(%(attempt_numbers)s),
    unnest(%(attempt_workers)s), unnest(%(attempt_ended_ats)s), unnest(%(attempt_reasons)s),
    unnest(%(attempt_errors)s)
RETURNING 1;
