-- The outcome of a lease is written under its token and nothing else: I1, I3, I4. A task that leaves `running` has no
-- lease; one that goes back to the queue without an outcome of its holder's was lost, and is nobody's. `texteq` is `=`,
-- of which the planner believes nothing: with statistics from before a burst it would take few tasks to be running, and
-- read all of them for each outcome.
UPDATE fairlead.tasks AS t
SET
    status = new.status,
    settled_token = new.settled_token,
    attempts = new.attempts,
    losses = new.losses,
    ready_at = coalesce(new.ready_at, t.ready_at),
    ended_at = new.ended_at,
    output = new.output,
    error = new.error,
    reason = new.reason,
    lease_until = CASE WHEN new.status = 'running' THEN t.lease_until END,
    worker = CASE WHEN new.status <> 'queued' OR new.settled_token = new.token THEN t.worker END
FROM unnest(
    %(task_runs)s, %(task_steps)s, %(task_generations)s, %(task_elements)s, %(task_tokens)s, %(task_statuses)s,
    %(task_settled_tokens)s, %(task_attempts)s, %(task_losses)s, %(task_ready_ats)s, %(task_ended_ats)s,
    %(task_outputs)s, %(task_errors)s, %(task_reasons)s
) AS new (
    run_id, step, generation, element, token, status, settled_token, attempts, losses, ready_at, ended_at,
    output, error, reason
)
WHERE t.run_id = new.run_id
    AND t.step = new.step
    AND t.generation = new.generation
    AND t.element = new.element
    AND t.token = new.token
    AND texteq(t.status, 'running')
RETURNING 1;
