SELECT
    r.id::text, r.flow, r.version, r.fingerprint, r.key, r.status, r.generation, r.priority, r.remaining_steps,
    r.next_sequence, r.created_at, r.started_at, r.ended_at, r.reason, r.error, r.deadline_at
FROM fairlead.runs AS r
WHERE r.id = %(run)s::uuid;
