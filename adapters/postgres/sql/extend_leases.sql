-- A stale heartbeat changes nothing: I7. Rows are locked first; one that somebody else holds is unknown and not
-- answered, one that was cancelled under its token is cancelled, one that was read with another token or status, or
-- that is gone, is lost.
WITH held AS (
    SELECT * FROM unnest(%(run_ids)s, %(steps)s, %(generations)s, %(elements)s, %(tokens)s)
        WITH ORDINALITY AS held (run_id, step, generation, element, token, place)
), locked AS MATERIALIZED (
    SELECT
        held.place, mine.ctid AS row_place, mine.running AND mine.token = held.token AS leased,
        mine.status = 'cancelled' AND mine.token = held.token AS cancelled
    FROM held
    CROSS JOIN LATERAL (
        SELECT t.ctid, t.token, t.running, t.status
        FROM fairlead.tasks AS t
        WHERE t.run_id = held.run_id
            AND t.step = held.step
            AND t.generation = held.generation
            AND t.element = held.element
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS mine
), extended AS (
    UPDATE fairlead.tasks AS t
    SET lease_until = %(until)s
    FROM locked
    WHERE locked.leased AND t.ctid = locked.row_place
    RETURNING locked.place
)
SELECT extended.place, 'extended' FROM extended
UNION ALL
SELECT locked.place, CASE WHEN locked.cancelled THEN 'cancelled' ELSE 'lost' END FROM locked WHERE NOT locked.leased
UNION ALL
SELECT held.place, 'lost'
FROM held
WHERE NOT EXISTS (
    SELECT FROM fairlead.tasks AS t
    WHERE t.run_id = held.run_id
        AND t.step = held.step
        AND t.generation = held.generation
        AND t.element = held.element
);
