WITH leased AS MATERIALIZED (
    SELECT s.sink
    FROM fairlead.outbox_shards AS s
    WHERE s.sink = %(sink)s AND s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    FOR NO KEY UPDATE
), gone AS (
    DELETE FROM fairlead.dead_letters AS d
    USING leased, unnest(%(accepted_runs)s, %(accepted_sequences)s) AS accepted (run_id, sequence)
    WHERE d.sink = leased.sink AND d.run_id = accepted.run_id AND d.sequence = accepted.sequence
), kept AS (
    UPDATE fairlead.dead_letters AS d
    SET asked_at = NULL, attempts = d.attempts + 1, problem = refused.problem
    FROM leased, unnest(%(refused_runs)s, %(refused_sequences)s, %(problems)s) AS refused (run_id, sequence, problem)
    WHERE d.sink = leased.sink AND d.run_id = refused.run_id AND d.sequence = refused.sequence
        AND d.asked_at IS NOT NULL
)
SELECT EXISTS (SELECT FROM leased);
