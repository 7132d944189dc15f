-- Tasks that wait for something from the start. Beside new_tasks, so that those which do not wait cost nothing more.
INSERT INTO fairlead.tasks (
    run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, waits_for, wake_at, status
)
SELECT
    new.run_id, new.step, new.generation, element, new.flow_id, new.queue, new.priority, new.created_at,
    new.ready_at, new.waits_for, new.wake_at, 'suspended'
FROM (
    SELECT
        unnest(%(new_wait_runs)s) AS run_id,
        unnest(%(new_wait_steps)s) AS step,
        unnest(%(new_wait_generations)s) AS generation,
        unnest(%(new_wait_firsts)s) AS first,
        unnest(%(new_wait_counts)s) AS count,
        unnest(%(new_wait_flow_ids)s) AS flow_id,
        unnest(%(new_wait_queues)s) AS queue,
        unnest(%(new_wait_priorities)s) AS priority,
        unnest(%(new_wait_created_ats)s) AS created_at,
        unnest(%(new_wait_ready_ats)s) AS ready_at,
        unnest(%(new_wait_kinds)s) AS waits_for,
        unnest(%(new_wait_wake_ats)s) AS wake_at
) AS new
CROSS JOIN LATERAL generate_series(new.first, new.first + new.count - 1) AS element
RETURNING 1;
