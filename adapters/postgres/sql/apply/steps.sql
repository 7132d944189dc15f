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
FROM unnest(
    %(step_runs)s, %(step_slugs)s, %(step_generations)s, %(step_statuses)s,
    %(step_remaining_dependencies)s, %(step_elements)s, %(step_remaining_tasks)s,
    %(step_failed_tasks)s, %(step_cursors)s, %(step_gaps)s, %(step_facts)s,
    %(step_started_ats)s, %(step_ended_ats)s, %(step_reasons)s, %(step_errors)s
) AS new (
    run_id, slug, generation, status, remaining_dependencies, elements, remaining_tasks, failed_tasks, cursor,
    gaps, facts, started_at, ended_at, reason, error
)
WHERE s.run_id = new.run_id AND s.slug = new.slug AND s.generation = new.generation
RETURNING 1;
