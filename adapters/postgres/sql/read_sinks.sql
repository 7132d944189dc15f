-- What waits is counted up to a bound.
SELECT
    k.name, k.registered_at, k.removed, k.pauses, k.not_before, k.problem,
    waiting.rows::integer, waiting.oldest_at, held.runs::integer, dead.letters::integer
FROM fairlead.sinks AS k
CROSS JOIN LATERAL (
    SELECT count(*) AS rows, min(found.at) AS oldest_at
    FROM (
        SELECT o.at
        FROM fairlead.outbox AS o
        WHERE NOT o.published AND NOT k.removed AND (o.delivered & (1 << k.id)) = 0
        LIMIT %(count_max)s
    ) AS found
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS runs
    FROM (SELECT FROM fairlead.held_runs AS h WHERE h.sink = k.id LIMIT %(count_max)s) AS found
) AS held
CROSS JOIN LATERAL (
    SELECT count(*) AS letters
    FROM (SELECT FROM fairlead.dead_letters AS d WHERE d.sink = k.id LIMIT %(count_max)s) AS found
) AS dead
ORDER BY k.name;
