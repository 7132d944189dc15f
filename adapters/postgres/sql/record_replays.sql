WITH leased AS MATERIALIZED (
    SELECT s.sink
    FROM fairlead.outbox_shards AS s
    WHERE s.sink = %(sink)s AND s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    FOR NO KEY UPDATE
), gone AS (
    DELETE FROM fairlead.dead_letters AS d
    USING leased, (SELECT unnest(%(accepted_runs)s) AS run_id, unnest(%(accepted_sequences)s) AS sequence) AS accepted
    WHERE d.sink = leased.sink AND d.run_id = accepted.run_id AND d.sequence = accepted.sequence
), kept AS (
    UPDATE fairlead.dead_letters AS d
    SET asked_at = NULL, attempts = d.attempts + 1, problem = refused.problem
    FROM leased, (
        SELECT
            unnest(%(refused_runs)s) AS run_id,
            unnest(%(refused_sequences)s) AS sequence,
            unnest(%(problems)s) AS problem
    ) AS refused
    WHERE d.sink = leased.sink AND d.run_id = refused.run_id AND d.sequence = refused.sequence
        AND d.asked_at IS NOT NULL
)
SELECT EXISTS (SELECT FROM leased);
