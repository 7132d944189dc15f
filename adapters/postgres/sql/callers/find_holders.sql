-- As find_holders: the runs that stand where others could not be inserted.
SELECT found.id::text, found.flow, found.key, found.request_digest
FROM json_to_recordset(CAST(CAST(%(given)s AS text) AS json)) AS wanted (id uuid, flow text, key text)
CROSS JOIN LATERAL (
    SELECT r.id, r.flow, r.key, r.request_digest
    FROM fairlead.runs AS r
    WHERE r.id = wanted.id
    UNION ALL
    SELECT r.id, r.flow, r.key, r.request_digest
    FROM fairlead.runs AS r
    WHERE r.key IS NOT NULL AND r.flow = wanted.flow AND r.key = wanted.key AND r.id <> wanted.id
) AS found;
