-- A run's shape never changes: its flow_id stands for the flow, version and fingerprint it started with.
SELECT format(
    'run %s (%s) is pinned to (%s, %s, %s), its flow is (%s, %s, %s)',
    r.id, r.status, r.flow, r.version, r.fingerprint, f.slug, f.version, f.fingerprint
)
FROM fairlead.runs AS r
LEFT JOIN fairlead.flows AS f ON f.id = r.flow_id
WHERE f.id IS NULL OR (r.flow, r.version, r.fingerprint) <> (f.slug, f.version, f.fingerprint);
