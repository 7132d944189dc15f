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
FROM (
    SELECT
        unnest(%(suspended_runs)s) AS run_id,
        unnest(%(suspended_steps)s) AS step,
        unnest(%(suspended_generations)s) AS generation,
        unnest(%(suspended_elements)s) AS element,
        unnest(%(suspended_tokens)s) AS token,
        unnest(%(suspended_wake_ats)s) AS wake_at,
        unnest(%(suspended_give_up_ats)s) AS give_up_at,
        unnest(%(suspended_checks)s) AS checks,
        unnest(%(suspended_states)s) AS state
) AS new
WHERE t.run_id = new.run_id
    AND t.step = new.step
    AND t.generation = new.generation
    AND t.element = new.element
    AND t.token = new.token
    -- As in tasks.sql, so that the planner believes nothing of it.
    AND texteq(t.status, 'running')
RETURNING 1;
