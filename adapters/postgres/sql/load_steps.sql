-- Steps of runs that this transaction holds, each in its highest generation.
SELECT
    wanted.place, found.generation, found.status, found.remaining_dependencies, found.elements,
    found.remaining_tasks, found.failed_tasks, found.cursor, found.facts, found.gaps,
    found.retry_of, found.kept
FROM unnest(%(run_ids)s, %(slugs)s) WITH ORDINALITY AS wanted (run_id, slug, place)
CROSS JOIN LATERAL (
    SELECT s.*
    FROM fairlead.steps AS s
    WHERE s.run_id = wanted.run_id AND s.slug = wanted.slug
    ORDER BY s.generation DESC
    LIMIT 1
) AS found;
