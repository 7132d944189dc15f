-- Two claims never get one task: I6. Attempts are counted and the token is minted here: I5, I8.
--
-- Candidates are ranked without locks. For each flow, with and without losses, the recursion steps from one priority
-- to the next lower one through the index, and reads only what is ready at each; so neither another flow's backlog,
-- nor tasks that wait for their time, nor tasks that have been lost are ever scanned. Of those with losses only the
-- first `lost_limit` of all flows together stay. Then the candidates are locked one by one in their order, until
-- `limit` are ours. A row that is locked stays in its place, so it is updated there.
WITH found AS (
    SELECT
        candidate.*, kind.most, row_number() OVER (
            PARTITION BY kind.lost
            ORDER BY
                candidate.priority DESC, candidate.ready_at, candidate.run_id, candidate.step, candidate.generation,
                candidate.element
        ) AS place
    FROM unnest(%(flow_ids)s) AS served (flow_id)
    CROSS JOIN (VALUES (false, %(window)s::integer), (true, %(lost_limit)s::integer)) AS kind (lost, most)
    CROSS JOIN LATERAL (
        WITH RECURSIVE priorities AS (
            (
                SELECT t.priority
                FROM fairlead.tasks AS t
                WHERE t.queued AND t.queue = %(queue)s AND t.flow_id = served.flow_id AND t.lost = kind.lost
                ORDER BY t.priority DESC
                LIMIT 1
            )
            UNION ALL
            SELECT (
                SELECT t.priority
                FROM fairlead.tasks AS t
                WHERE t.queued AND t.queue = %(queue)s AND t.flow_id = served.flow_id AND t.lost = kind.lost
                    AND t.priority < higher.priority
                ORDER BY t.priority DESC
                LIMIT 1
            )
            FROM priorities AS higher
            WHERE higher.priority IS NOT NULL
        )
        SELECT ready.*
        FROM priorities
        CROSS JOIN LATERAL (
            SELECT t.priority, t.ready_at, t.run_id, t.step, t.generation, t.element
            FROM fairlead.tasks AS t
            WHERE t.queued AND t.queue = %(queue)s AND t.flow_id = served.flow_id AND t.lost = kind.lost
                AND t.priority = priorities.priority AND t.ready_at <= %(now)s
            ORDER BY t.ready_at, t.run_id, t.step, t.generation, t.element
            LIMIT %(window)s
        ) AS ready
        LIMIT kind.most
    ) AS candidate
), ranked AS MATERIALIZED (
    SELECT found.*
    FROM found
    WHERE found.place <= found.most
    ORDER BY found.priority DESC, found.ready_at, found.run_id, found.step, found.generation, found.element
    LIMIT %(window)s
), locked AS MATERIALIZED (
    SELECT mine.*
    FROM ranked
    CROSS JOIN LATERAL (
        SELECT t.ctid AS place
        FROM fairlead.tasks AS t
        WHERE t.run_id = ranked.run_id
            AND t.step = ranked.step
            AND t.generation = ranked.generation
            AND t.element = ranked.element
            AND t.queued
            AND t.ready_at <= %(now)s
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS mine
    LIMIT %(limit)s
), claimed AS (
    UPDATE fairlead.tasks AS t
    SET
        status = 'running',
        token = t.token + 1,
        attempts = t.attempts + 1,
        worker = %(worker)s,
        lease_until = %(lease_until)s,
        started_at = %(now)s
    FROM locked
    WHERE t.ctid = locked.place
    RETURNING
        t.run_id, t.step, t.generation, t.element, t.flow_id, t.token, t.attempts, t.losses, t.phase,
        t.lease_until, t.priority, t.ready_at
)
SELECT
    counted.candidates, claimed.run_id::text, claimed.step, claimed.generation, claimed.element, claimed.flow_id,
    claimed.token, claimed.attempts, claimed.losses, claimed.phase, claimed.lease_until, claimed.priority
FROM (SELECT count(*)::integer AS candidates FROM ranked) AS counted
LEFT JOIN claimed ON true
ORDER BY
    claimed.priority DESC, claimed.ready_at, claimed.run_id, claimed.step, claimed.generation, claimed.element;
