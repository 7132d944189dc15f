-- The runs that stand where a batch could not insert: under its ids, or under its keys.
SELECT found.id::text, found.flow, found.key, found.request_digest
FROM unnest(%(ids)s, %(flows)s, %(keys)s) AS wanted (id, flow, key)
CROSS JOIN LATERAL (
    SELECT r.id, r.flow, r.key, r.request_digest
    FROM fairlead.runs AS r
    WHERE r.id = wanted.id
    UNION ALL
    SELECT r.id, r.flow, r.key, r.request_digest
    FROM fairlead.runs AS r
    WHERE r.key IS NOT NULL AND r.flow = wanted.flow AND r.key = wanted.key AND r.id <> wanted.id
) AS found;
