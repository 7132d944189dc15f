-- With the runs that they belong to, in one transaction.
INSERT INTO fairlead.run_annotations (run_id, annotations, searched)
SELECT given.run_id, given.annotations, given.annotations::jsonb
FROM (SELECT unnest(%(annotated_runs)s) AS run_id, unnest(%(annotations)s) AS annotations) AS given;
