SELECT o.run_id::text, o.flow, o.generation, o.first_sequence, o.count, o.at, o.events
FROM fairlead.outbox AS o
WHERE o.run_id = %(run)s::uuid
ORDER BY o.first_sequence;
