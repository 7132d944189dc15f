-- All that a flusher has to say of runs in trouble, or nothing where it lost its lease: a dead letter appears together
-- with the place behind it (I33), and a run's rows are held only while the run is.
WITH leased AS MATERIALIZED (
    SELECT s.sink, s.shard, 1 << s.sink AS bit
    FROM fairlead.outbox_shards AS s
    WHERE s.sink = %(sink)s AND s.shard = %(shard)s AND s.token = %(token)s AND s.worker IS NOT NULL
    FOR NO KEY UPDATE
), holding AS (
    UPDATE fairlead.outbox AS o
    SET held = o.held | leased.bit
    FROM leased, (SELECT unnest(%(row_runs)s) AS run_id, unnest(%(row_firsts)s) AS first_sequence) AS fresh
    WHERE o.run_id = fresh.run_id AND o.first_sequence = fresh.first_sequence AND NOT o.published
        AND (o.delivered & leased.bit) = 0
), standing AS (
    INSERT INTO fairlead.held_runs (sink, run_id, shard, next_sequence, lost, attempts, not_before, problem)
    SELECT leased.sink, run.id, leased.shard, run.next_sequence, run.lost, run.attempts, run.not_before, run.problem
    FROM leased, (
        SELECT
            unnest(%(runs)s) AS id,
            unnest(%(next_sequences)s) AS next_sequence,
            unnest(%(lost)s) AS lost,
            unnest(%(attempts)s) AS attempts,
            unnest(%(not_befores)s) AS not_before,
            unnest(%(problems)s) AS problem
    ) AS run
    ON CONFLICT (sink, run_id) DO UPDATE
    SET next_sequence = excluded.next_sequence, lost = excluded.lost, attempts = excluded.attempts,
        not_before = excluded.not_before, problem = excluded.problem
), over AS (
    DELETE FROM fairlead.held_runs AS h
    USING leased, unnest(%(cleared)s) AS cleared (run_id)
    WHERE h.sink = leased.sink AND h.run_id = cleared.run_id
    RETURNING h.run_id, h.next_sequence
), freed AS (
    UPDATE fairlead.outbox AS o
    SET held = o.held & ~leased.bit
    FROM leased, over
    WHERE o.run_id = over.run_id AND o.first_sequence >= over.next_sequence AND NOT o.published
        AND (o.held & leased.bit) <> 0
), dying AS (
    INSERT INTO fairlead.dead_letters (
        sink, run_id, sequence, shard, generation, flow, type, step, at, attempts, problem, died_at, event
    )
    SELECT
        leased.sink, letter.run_id, letter.sequence, leased.shard, letter.generation, letter.flow, letter.type,
        letter.step, letter.at, letter.attempts, letter.problem, letter.died_at, letter.event
    FROM leased, (
        SELECT
            unnest(%(dead_runs)s) AS run_id,
            unnest(%(dead_sequences)s) AS sequence,
            unnest(%(dead_generations)s) AS generation,
            unnest(%(dead_flows)s) AS flow,
            unnest(%(dead_types)s) AS type,
            unnest(%(dead_steps)s) AS step,
            unnest(%(dead_ats)s) AS at,
            unnest(%(dead_attempts)s) AS attempts,
            unnest(%(dead_problems)s) AS problem,
            unnest(%(died_ats)s) AS died_at,
            unnest(%(dead_events)s) AS event
    ) AS letter
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM leased);
