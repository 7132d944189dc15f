-- The last part of a removal, unless the sink was registered again meanwhile. A lease on it is worth nothing then.
WITH gone AS (
    DELETE FROM fairlead.sinks AS k WHERE k.id = %(sink)s AND k.removed RETURNING k.id
), leases AS (
    UPDATE fairlead.outbox_shards AS s
    SET token = DEFAULT, worker = NULL, lease_until = NULL
    FROM gone
    WHERE s.sink = gone.id
), letters AS (
    DELETE FROM fairlead.dead_letters AS d USING gone WHERE d.sink = gone.id
)
DELETE FROM fairlead.held_runs AS h USING gone WHERE h.sink = gone.id;
