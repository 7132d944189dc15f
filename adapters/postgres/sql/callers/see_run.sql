-- Whether a signal makes sense as the caller sees it. Whoever delivers it decides, under the run's lock.
SELECT
    r.flow, r.version, r.fingerprint, r.status,
    (
        SELECT s.status
        FROM fairlead.steps AS s
        WHERE s.run_id = r.id AND s.slug = wanted.step
        ORDER BY s.generation DESC
        LIMIT 1
    ),
    (
        SELECT g.request_digest
        FROM fairlead.signals AS g
        WHERE g.run_id = r.id AND g.step = wanted.step AND g.key = wanted.key
    )
FROM json_to_record(CAST(CAST(%(given)s AS text) AS json)) AS wanted (run uuid, step text, key text)
JOIN fairlead.runs AS r ON r.id = wanted.run;
