-- A task is suspended by whoever holds its lease: I4. Its next attempts are those of its check.
UPDATE fairlead.tasks AS t
SET
    status = 'suspended',
    phase = 'check',
    settled_token = new.token,
    attempts = 0,
    checks = new.checks,
    waits_for = 'check',
    wake_at = new.wake_at,
    give_up_at = new.give_up_at,
    state = new.state,
    lease_until = NULL,
    error = NULL,
    reason = NULL
FROM unnest(
    %(suspended_runs)s, %(suspended_steps)s, %(suspended_generations)s, %(suspended_elements)s, %(suspended_tokens)s,
    %(suspended_wake_ats)s, %(suspended_give_up_ats)s, %(suspended_checks)s, %(suspended_states)s
) AS new (run_id, step, generation, element, token, wake_at, give_up_at, checks, state)
WHERE t.run_id = new.run_id
    AND t.step = new.step
    AND t.generation = new.generation
    AND t.element = new.element
    AND t.token = new.token
    -- As in tasks.sql, so that the planner believes nothing of it.
    AND texteq(t.status, 'running')
RETURNING 1;
