INSERT INTO fairlead.run_annotations AS a (run_id, annotations, searched)
SELECT given.run_id, given.annotations, given.annotations::jsonb
FROM (SELECT unnest(%(annotated_runs)s) AS run_id, unnest(%(annotations)s) AS annotations) AS given
ON CONFLICT (run_id) DO UPDATE SET annotations = excluded.annotations, searched = excluded.searched
RETURNING 1;
