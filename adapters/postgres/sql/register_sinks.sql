-- Names that are new get the smallest numbers that are free; the caller holds the lock of all registrations.
WITH revived AS (
    UPDATE fairlead.sinks AS k
    SET removed = false, registered_at = %(now)s
    WHERE k.name = ANY (%(names)s) AND k.removed
), new AS (
    SELECT wanted.name, row_number() OVER (ORDER BY wanted.place) AS place
    FROM unnest(%(names)s) WITH ORDINALITY AS wanted (name, place)
    WHERE NOT EXISTS (SELECT FROM fairlead.sinks AS k WHERE k.name = wanted.name)
), free AS (
    SELECT number.id, row_number() OVER (ORDER BY number.id) AS place
    FROM generate_series(0, %(sinks_max)s::integer - 1) AS number (id)
    WHERE NOT EXISTS (SELECT FROM fairlead.sinks AS k WHERE k.id = number.id)
)
INSERT INTO fairlead.sinks (id, name, registered_at)
SELECT free.id, new.name, %(now)s
FROM new
JOIN free USING (place);
