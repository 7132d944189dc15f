-- What waits is counted up to a bound; a row has one event at least.
SELECT
    k.name, k.registered_at, k.removed, k.pauses, k.not_before, k.problem,
    waiting.events::integer, waiting.oldest_at, held.runs::integer, dead.letters::integer,
    worst.run_id::text, worst.next_sequence, worst.lost, worst.attempts, worst.not_before, worst.problem
FROM fairlead.sinks AS k
CROSS JOIN LATERAL (
    SELECT least(coalesce(sum(found.count), 0), %(count_max)s) AS events, min(found.at) AS oldest_at
    FROM (
        SELECT o.at, o.count
        FROM fairlead.outbox AS o
        WHERE NOT o.published AND NOT k.removed AND (o.delivered & (1 << k.id)) = 0
        LIMIT %(count_max)s
    ) AS found
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS runs
    FROM (SELECT FROM fairlead.held_runs AS h WHERE h.sink = k.id LIMIT %(count_max)s) AS found
) AS held
LEFT JOIN LATERAL (
    SELECT found.*
    FROM (SELECT h.* FROM fairlead.held_runs AS h WHERE h.sink = k.id LIMIT %(count_max)s) AS found
    ORDER BY found.problem = '', found.attempts DESC, found.run_id
    LIMIT 1
) AS worst ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS letters
    FROM (SELECT FROM fairlead.dead_letters AS d WHERE d.sink = k.id LIMIT %(count_max)s) AS found
) AS dead
ORDER BY k.name;
