-- Each wait is over once: I27. Its own statement, so that it sees the tasks that the transaction wrote before. A task
-- that ends without having run does so under a token that no claim was given, and is nobody's: I3.
UPDATE fairlead.tasks AS t
SET
    status = new.status,
    token = CASE WHEN new.status = 'queued' THEN t.token ELSE t.token + 1 END,
    settled_token = CASE WHEN new.status = 'queued' THEN t.settled_token ELSE t.token + 1 END,
    waits_for = NULL,
    wake_at = NULL,
    worker = NULL,
    ready_at = coalesce(new.ready_at, t.ready_at),
    ended_at = new.ended_at,
    output = new.output,
    error = new.error,
    reason = new.reason
FROM (
    SELECT
        unnest(%(run_ids)s) AS run_id,
        unnest(%(steps)s) AS step,
        unnest(%(generations)s) AS generation,
        unnest(%(elements)s) AS element,
        unnest(%(tokens)s) AS token,
        unnest(%(statuses)s) AS status,
        unnest(%(ready_ats)s) AS ready_at,
        unnest(%(ended_ats)s) AS ended_at,
        unnest(%(outputs)s) AS output,
        unnest(%(errors)s) AS error,
        unnest(%(reasons)s) AS reason
) AS new
WHERE t.run_id = new.run_id
    AND t.step = new.step
    AND t.generation = new.generation
    AND t.element = new.element
    AND t.token = new.token
    -- As in tasks.sql, so that the planner believes nothing of it.
    AND texteq(t.status, 'suspended')
RETURNING 1;
