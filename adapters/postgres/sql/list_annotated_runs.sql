-- As list_runs, for runs that have given annotations: found by their index, then sorted.
SELECT
    r.id::text, r.flow, r.version, r.fingerprint, r.key, r.status, r.generation, r.priority, r.remaining_steps,
    r.next_sequence, r.created_at, r.started_at, r.ended_at, r.reason, r.error, r.deadline_at
FROM fairlead.run_annotations AS a
JOIN fairlead.runs AS r ON r.id = a.run_id
WHERE a.searched @> %(annotations)s::jsonb
    AND (%(flow)s::text IS NULL OR r.flow = %(flow)s)
    AND (%(key)s::text IS NULL OR r.key = %(key)s)
    AND (%(statuses)s::text[] IS NULL OR r.status = ANY (%(statuses)s))
    AND (%(created_from)s::timestamptz IS NULL OR r.created_at >= %(created_from)s)
    AND (%(created_before)s::timestamptz IS NULL OR r.created_at < %(created_before)s)
    AND (%(after_created_at)s::timestamptz IS NULL
        OR (r.created_at, r.id) < (%(after_created_at)s, %(after_id)s::uuid))
ORDER BY r.created_at DESC, r.id DESC
LIMIT %(limit)s;
