-- The bound on first_sequence keeps this from the run's history; see read_events.
SELECT o.run_id::text, o.flow, o.generation, o.first_sequence, o.count, o.at, o.events
FROM fairlead.outbox AS o
WHERE o.run_id = %(run)s::uuid
    AND o.first_sequence >= coalesce(
        (
            SELECT max(earlier.first_sequence)
            FROM fairlead.outbox AS earlier
            WHERE earlier.run_id = %(run)s::uuid AND earlier.first_sequence <= %(next)s
        ),
        0
    )
    AND NOT o.published
    AND (o.delivered & (1 << %(sink)s::integer)) = 0
    AND EXISTS (
        SELECT FROM fairlead.outbox_shards AS s
        WHERE s.sink = %(sink)s AND s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    )
ORDER BY o.first_sequence
LIMIT %(limit)s;
