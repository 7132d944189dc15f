INSERT INTO fairlead.steps (
    run_id, slug, generation, status, remaining_dependencies, elements, remaining_tasks, failed_tasks, cursor,
    gaps, facts, started_at, ended_at, reason, error, retry_of, kept
)
SELECT *
FROM unnest(
    %(new_step_runs)s, %(new_step_slugs)s, %(new_step_generations)s, %(new_step_statuses)s,
    %(new_step_remaining_dependencies)s, %(new_step_elements)s, %(new_step_remaining_tasks)s,
    %(new_step_failed_tasks)s, %(new_step_cursors)s, %(new_step_gaps)s, %(new_step_facts)s,
    %(new_step_started_ats)s, %(new_step_ended_ats)s, %(new_step_reasons)s, %(new_step_errors)s,
    %(new_step_retries_of)s, %(new_step_kept)s
)
RETURNING 1;
