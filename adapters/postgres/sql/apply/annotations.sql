INSERT INTO fairlead.run_annotations AS a (run_id, annotations, searched)
SELECT given.run_id, given.annotations, given.annotations::jsonb
FROM unnest(%(annotated_runs)s, %(annotations)s) AS given (run_id, annotations)
ON CONFLICT (run_id) DO UPDATE SET annotations = excluded.annotations, searched = excluded.searched
RETURNING 1;
