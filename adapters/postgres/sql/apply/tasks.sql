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
FROM (
    SELECT
        unnest(%(task_runs)s) AS run_id,
        unnest(%(task_steps)s) AS step,
        unnest(%(task_generations)s) AS generation,
        unnest(%(task_elements)s) AS element,
        unnest(%(task_tokens)s) AS token,
        unnest(%(task_statuses)s) AS status,
        unnest(%(task_settled_tokens)s) AS settled_token,
        unnest(%(task_attempts)s) AS attempts,
        unnest(%(task_losses)s) AS losses,
        unnest(%(task_ready_ats)s) AS ready_at,
        unnest(%(task_ended_ats)s) AS ended_at,
        unnest(%(task_outputs)s) AS output,
        unnest(%(task_errors)s) AS error,
        unnest(%(task_reasons)s) AS reason
) AS new
WHERE t.run_id = new.run_id
    AND t.step = new.step
    AND t.generation = new.generation
    AND t.element = new.element
    AND t.token = new.token
    AND texteq(t.status, 'running')
RETURNING 1;
