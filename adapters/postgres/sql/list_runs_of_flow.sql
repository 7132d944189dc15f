-- As list_runs, for the runs of one flow. Places are compared whole as in find_prunable_of_flow, so that a page of old
-- runs is found without reading the newer ones of others.
SELECT
    r.id::text, r.flow, r.version, r.fingerprint, r.key, r.status, r.generation, r.priority, r.remaining_steps,
    r.next_sequence, r.created_at, r.started_at, r.ended_at, r.reason, r.error, r.deadline_at
FROM fairlead.runs AS r
WHERE (r.flow, r.created_at) >= (%(flow)s, coalesce(%(created_from)s::timestamptz, '-infinity'))
    AND (r.flow, r.created_at, r.id) < (
        %(flow)s,
        coalesce(%(after_created_at)s::timestamptz, %(created_before)s::timestamptz, 'infinity'),
        coalesce(%(after_id)s::uuid, '00000000-0000-0000-0000-000000000000')
    )
    AND (%(created_before)s::timestamptz IS NULL OR r.created_at < %(created_before)s)
    AND (%(statuses)s::text[] IS NULL OR r.status = ANY (%(statuses)s))
ORDER BY r.flow DESC, r.created_at DESC, r.id DESC
LIMIT %(limit)s;
