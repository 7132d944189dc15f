-- As claim_tasks, for the tasks that a transport's messages named.
WITH ranked AS MATERIALIZED (
    SELECT
        found.*,
        sum(found.losses_now) OVER (
            ORDER BY found.priority DESC, found.ready_at, found.run_id, found.step, found.generation, found.element
        ) AS losses_before
    FROM unnest(%(run_ids)s, %(steps)s, %(generations)s, %(elements)s) AS wanted (run_id, step, generation, element)
    CROSS JOIN LATERAL (
        SELECT
            t.priority, t.ready_at, t.run_id, t.step, t.generation, t.element, t.lost,
            CASE WHEN t.lost THEN 1 ELSE 0 END AS losses_now
        FROM fairlead.tasks AS t
        WHERE t.run_id = wanted.run_id
            AND t.step = wanted.step
            AND t.generation = wanted.generation
            AND t.element = wanted.element
            AND t.queued
            AND t.queue = %(queue)s
            AND t.flow_id = ANY (%(flow_ids)s)
            AND t.ready_at <= %(now)s
        LIMIT 1
    ) AS found
    ORDER BY found.priority DESC, found.ready_at, found.run_id, found.step, found.generation, found.element
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
    WHERE NOT ranked.lost OR ranked.losses_before <= %(lost_limit)s
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
    0, claimed.run_id::text, claimed.step, claimed.generation, claimed.element, claimed.flow_id,
    claimed.token, claimed.attempts, claimed.losses, claimed.phase, claimed.lease_until, claimed.priority
FROM claimed
ORDER BY
    claimed.priority DESC, claimed.ready_at, claimed.run_id, claimed.step, claimed.generation, claimed.element;
