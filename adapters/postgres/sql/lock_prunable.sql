-- What is pruned is locked first, in order of id; what somebody else holds is left for the next time.
SELECT mine.id::text
FROM unnest(%(runs)s) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT r.id
    FROM fairlead.runs AS r
    WHERE r.id = wanted.id AND r.ended_at < %(ended_before)s
    FOR UPDATE SKIP LOCKED
) AS mine;
