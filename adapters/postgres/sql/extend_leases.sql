-- A stale heartbeat changes nothing, and a row that is locked is unknown, not lost: I7. A claim counts as lost only
-- where its row was read with another token or status, or is gone.
WITH held AS (
    SELECT * FROM unnest(%(run_ids)s, %(steps)s, %(generations)s, %(elements)s, %(tokens)s)
        WITH ORDINALITY AS held (run_id, step, generation, element, token, place)
), locked AS MATERIALIZED (
    SELECT mine.*, held.place
    FROM held
    CROSS JOIN LATERAL (
        SELECT t.run_id, t.step, t.generation, t.element
        FROM fairlead.tasks AS t
        WHERE t.run_id = held.run_id
            AND t.step = held.step
            AND t.generation = held.generation
            AND t.element = held.element
            AND t.token = held.token
            AND t.running
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS mine
), extended AS (
    UPDATE fairlead.tasks AS t
    SET lease_until = %(until)s
    FROM locked
    WHERE t.run_id = locked.run_id
        AND t.step = locked.step
        AND t.generation = locked.generation
        AND t.element = locked.element
    RETURNING locked.place
)
SELECT extended.place, true FROM extended
UNION ALL
SELECT held.place, false
FROM held
LEFT JOIN LATERAL (
    SELECT t.token, t.running
    FROM fairlead.tasks AS t
    WHERE t.run_id = held.run_id
        AND t.step = held.step
        AND t.generation = held.generation
        AND t.element = held.element
    LIMIT 1
) AS found ON true
WHERE found.token IS DISTINCT FROM held.token OR found.running IS DISTINCT FROM true;
