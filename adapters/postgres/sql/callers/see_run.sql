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
    g.request_digest, g.consumed_at IS NOT NULL
FROM json_to_record(CAST(CAST(%(given)s AS text) AS json)) AS wanted (run uuid, step text, key text)
JOIN fairlead.runs AS r ON r.id = wanted.run
LEFT JOIN fairlead.signals AS g ON g.run_id = r.id AND g.step = wanted.step AND g.key = wanted.key;
