INSERT INTO fairlead.steps (
    run_id, slug, generation, status, remaining_dependencies, elements, remaining_tasks, failed_tasks, cursor,
    gaps, facts, started_at, ended_at, reason, error, retry_of, kept
)
SELECT
    unnest(%(new_step_runs)s), unnest(%(new_step_slugs)s), unnest(%(new_step_generations)s),
    unnest(%(new_step_statuses)s), unnest(%(new_step_remaining_dependencies)s), unnest(%(new_step_elements)s),
    unnest(%(new_step_remaining_tasks)s), unnest(%(new_step_failed_tasks)s), unnest(%(new_step_cursors)s),
    unnest(%(new_step_gaps)s), unnest(%(new_step_facts)s), unnest(%(new_step_started_ats)s),
    unnest(%(new_step_ended_ats)s), unnest(%(new_step_reasons)s), unnest(%(new_step_errors)s),
    unnest(%(new_step_retries_of)s), unnest(%(new_step_kept)s)
RETURNING 1;
