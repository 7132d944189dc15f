-- Hosts say which sinks they have, so that it can be told which sink nobody serves. NULL is what a host says whose code
-- is older.
ALTER TABLE fairlead.workers ADD COLUMN sinks text[] COLLATE "C";

-- Before sinks had names, events waited for whoever came. Where the store knows no sink they are history, like all that
-- is written while it knows none; and as long as they wait, their runs are not pruned.
UPDATE fairlead.outbox AS o
SET published = true
WHERE NOT o.published AND NOT EXISTS (SELECT FROM fairlead.sinks);
