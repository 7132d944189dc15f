-- With the runs that they belong to, in one transaction.
INSERT INTO fairlead.run_annotations (run_id, annotations, searched)
SELECT given.run_id, given.annotations, given.annotations::jsonb
FROM unnest(%(annotated_runs)s, %(annotations)s) AS given (run_id, annotations);
