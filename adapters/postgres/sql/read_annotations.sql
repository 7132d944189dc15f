SELECT a.run_id::text, a.annotations
FROM unnest(%(runs)s) AS asked (run_id)
JOIN fairlead.run_annotations AS a ON a.run_id = asked.run_id;
