-- The bound on first_sequence is what keeps a reader who comes back from scanning what it has read: a run's rows are
-- gapless, so none that begins before the last one up to the next event can hold it.
SELECT o.run_id::text, o.flow, o.generation, o.first_sequence, o.count, o.at, o.events
FROM fairlead.outbox AS o
WHERE o.run_id = %(run)s::uuid
    AND o.first_sequence >= COALESCE(
        (
            SELECT max(earlier.first_sequence)
            FROM fairlead.outbox AS earlier
            WHERE earlier.run_id = %(run)s::uuid AND earlier.first_sequence <= %(after)s::bigint + 1
        ),
        0
    )
    AND o.first_sequence + o.count > %(after)s::bigint + 1
ORDER BY o.first_sequence;
