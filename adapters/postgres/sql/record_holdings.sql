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
    FROM leased, unnest(%(row_runs)s, %(row_firsts)s) AS fresh (run_id, first_sequence)
    WHERE o.run_id = fresh.run_id AND o.first_sequence = fresh.first_sequence AND NOT o.published
        AND (o.delivered & leased.bit) = 0
), standing AS (
    INSERT INTO fairlead.held_runs (sink, run_id, shard, next_sequence, lost, attempts, not_before, problem)
    SELECT leased.sink, run.id, leased.shard, run.next_sequence, run.lost, run.attempts, run.not_before, run.problem
    FROM leased, unnest(
        %(runs)s, %(next_sequences)s, %(lost)s, %(attempts)s, %(not_befores)s, %(problems)s
    ) AS run (id, next_sequence, lost, attempts, not_before, problem)
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
    FROM leased, unnest(
        %(dead_runs)s, %(dead_sequences)s, %(dead_generations)s, %(dead_flows)s, %(dead_types)s, %(dead_steps)s,
        %(dead_ats)s, %(dead_attempts)s, %(dead_problems)s, %(died_ats)s, %(dead_events)s
    ) AS letter (run_id, sequence, generation, flow, type, step, at, attempts, problem, died_at, event)
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM leased);
