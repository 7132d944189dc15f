UPDATE fairlead.steps AS s
SET
    status = new.status,
    remaining_dependencies = new.remaining_dependencies,
    elements = new.elements,
    remaining_tasks = new.remaining_tasks,
    failed_tasks = new.failed_tasks,
    cursor = new.cursor,
    gaps = new.gaps,
    facts = coalesce(new.facts, s.facts),
    started_at = coalesce(new.started_at, s.started_at),
    ended_at = coalesce(new.ended_at, s.ended_at),
    reason = coalesce(new.reason, s.reason),
    error = coalesce(new.error, s.error)
FROM (
    SELECT
        unnest(%(step_runs)s) AS run_id,
        unnest(%(step_slugs)s) AS slug,
        unnest(%(step_generations)s) AS generation,
        unnest(%(step_statuses)s) AS status,
        unnest(%(step_remaining_dependencies)s) AS remaining_dependencies,
        unnest(%(step_elements)s) AS elements,
        unnest(%(step_remaining_tasks)s) AS remaining_tasks,
        unnest(%(step_failed_tasks)s) AS failed_tasks,
        unnest(%(step_cursors)s) AS cursor,
        unnest(%(step_gaps)s) AS gaps,
        unnest(%(step_facts)s) AS facts,
        unnest(%(step_started_ats)s) AS started_at,
        unnest(%(step_ended_ats)s) AS ended_at,
        unnest(%(step_reasons)s) AS reason,
        unnest(%(step_errors)s) AS error
) AS new
WHERE s.run_id = new.run_id AND s.slug = new.slug AND s.generation = new.generation
RETURNING 1;
