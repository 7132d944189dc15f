-- A range of elements is one row of the parameters, however many tasks it makes. A task that is born leased has its
-- first token and attempt.
INSERT INTO fairlead.tasks (
    run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, worker, lease_until,
    status, token, attempts, started_at
)
SELECT
    new.run_id, new.step, new.generation, element, new.flow_id, new.queue, new.priority, new.created_at,
    new.ready_at, new.worker, new.lease_until,
    CASE WHEN new.worker IS NULL THEN 'queued' ELSE 'running' END,
    CASE WHEN new.worker IS NULL THEN 0 ELSE 1 END,
    CASE WHEN new.worker IS NULL THEN 0 ELSE 1 END,
    CASE WHEN new.worker IS NULL THEN NULL ELSE new.created_at END
FROM (
    SELECT
        unnest(%(new_task_runs)s) AS run_id,
        unnest(%(new_task_steps)s) AS step,
        unnest(%(new_task_generations)s) AS generation,
        unnest(%(new_task_firsts)s) AS first,
        unnest(%(new_task_counts)s) AS count,
        unnest(%(new_task_flow_ids)s) AS flow_id,
        unnest(%(new_task_queues)s) AS queue,
        unnest(%(new_task_priorities)s) AS priority,
        unnest(%(new_task_created_ats)s) AS created_at,
        unnest(%(new_task_ready_ats)s) AS ready_at,
        unnest(%(new_task_workers)s) AS worker,
        unnest(%(new_task_lease_untils)s) AS lease_until
) AS new
CROSS JOIN LATERAL generate_series(new.first, new.first + new.count - 1) AS element
RETURNING 1;
