-- Hosts say which sinks they have, so that it can be told which sink nobody serves. NULL is what a host says whose code
-- is older.
ALTER TABLE fairlead.workers ADD COLUMN sinks text[] COLLATE "C";

-- Before sinks had names, rows were born unpublished where their host had a sink: those that wait are owed to it. Today it
-- is called `default`. It is made known here, or the first sink to be registered would find these runs with a gap; what
-- they have told since then follows. Shards that nobody ever leased have their first token, so no sink was known before.
WITH owed AS (
    INSERT INTO fairlead.sinks (id, name, registered_at)
    SELECT 0, 'default', clock_timestamp()
    WHERE EXISTS (SELECT FROM fairlead.outbox AS o WHERE NOT o.published)
        AND NOT EXISTS (SELECT FROM fairlead.sinks)
        AND NOT EXISTS (SELECT FROM fairlead.outbox_shards AS s WHERE s.token > 960)
    RETURNING id
), waiting AS (
    SELECT o.run_id, min(o.first_sequence) AS first_sequence
    FROM fairlead.outbox AS o
    WHERE NOT o.published
    GROUP BY o.run_id
)
UPDATE fairlead.outbox AS o
SET published = false
FROM owed, waiting
WHERE o.run_id = waiting.run_id AND o.first_sequence > waiting.first_sequence AND o.published;

-- What else waits where the store knows no sink was left by a removal that was interrupted. It is history, like all that
-- is written while no sink is known; and as long as it waits, its runs are not pruned.
UPDATE fairlead.outbox AS o
SET published = true
WHERE NOT o.published AND NOT EXISTS (SELECT FROM fairlead.sinks);
