-- Where no sink is known any more, what a removal that was interrupted left waiting is nobody's: later rows were born
-- published, so whoever is registered now would get it with a gap behind it.
UPDATE fairlead.outbox AS o
SET published = true
WHERE NOT o.published AND NOT EXISTS (SELECT FROM fairlead.sinks AS k WHERE NOT k.removed);
