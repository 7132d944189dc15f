SELECT
    s.run_id::text, s.slug, s.generation, s.status, s.remaining_dependencies, s.elements, s.remaining_tasks,
    s.failed_tasks, s.cursor, s.started_at, s.ended_at, s.reason, s.error, s.gaps, s.retry_of, s.kept
FROM fairlead.steps AS s
WHERE s.run_id = %(run)s::uuid
ORDER BY s.generation, s.slug;
