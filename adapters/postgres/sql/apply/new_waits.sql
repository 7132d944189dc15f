-- Tasks that wait for something from the start. Beside new_tasks, so that those which do not wait cost nothing more.
INSERT INTO fairlead.tasks (
    run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, waits_for, wake_at, status
)
SELECT
    new.run_id, new.step, new.generation, element, new.flow_id, new.queue, new.priority, new.created_at,
    new.ready_at, new.waits_for, new.wake_at, 'suspended'
FROM unnest(
    %(new_wait_runs)s, %(new_wait_steps)s, %(new_wait_generations)s, %(new_wait_firsts)s, %(new_wait_counts)s,
    %(new_wait_flow_ids)s, %(new_wait_queues)s, %(new_wait_priorities)s, %(new_wait_created_ats)s,
    %(new_wait_ready_ats)s, %(new_wait_kinds)s, %(new_wait_wake_ats)s
) AS new (
    run_id, step, generation, first, count, flow_id, queue, priority, created_at, ready_at, waits_for, wake_at
)
CROSS JOIN LATERAL generate_series(new.first, new.first + new.count - 1) AS element
RETURNING 1;
