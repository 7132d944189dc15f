-- Everything of the runs that this transaction holds, children before their run. What still has events to publish stays
-- whole, and so does what has dead letters unless they may go; a terminal run that is locked gets no new events, and one
-- that becomes a dead letter was not published in the snapshot before.
WITH gone AS MATERIALIZED (
    SELECT held.id
    FROM unnest(%(runs)s) AS held (id)
    WHERE NOT EXISTS (SELECT FROM fairlead.outbox AS o WHERE o.run_id = held.id AND NOT o.published)
        AND (%(dead_letters)s::boolean OR NOT EXISTS (
            SELECT
            FROM fairlead.sinks AS k
            CROSS JOIN LATERAL (
                SELECT FROM fairlead.dead_letters AS d WHERE d.sink = k.id AND d.run_id = held.id LIMIT 1
            ) AS letter
            WHERE NOT k.removed
        ))
), tasks AS (
    DELETE FROM fairlead.tasks AS t USING gone WHERE t.run_id = gone.id
), attempts AS (
    DELETE FROM fairlead.attempts AS t USING gone WHERE t.run_id = gone.id
), steps AS (
    DELETE FROM fairlead.steps AS t USING gone WHERE t.run_id = gone.id
), generations AS (
    DELETE FROM fairlead.run_generations AS t USING gone WHERE t.run_id = gone.id
), signals AS (
    DELETE FROM fairlead.signals AS t USING gone WHERE t.run_id = gone.id
), tokens AS (
    DELETE FROM fairlead.resume_tokens AS t USING gone WHERE t.run_id = gone.id
), logs AS (
    DELETE FROM fairlead.logs AS t USING gone WHERE t.run_id = gone.id
), log_counters AS (
    DELETE FROM fairlead.log_counters AS t USING gone WHERE t.run_id = gone.id
), progress AS (
    DELETE FROM fairlead.progress AS t USING gone WHERE t.run_id = gone.id
), annotations AS (
    DELETE FROM fairlead.run_annotations AS t USING gone WHERE t.run_id = gone.id
), outbox AS (
    DELETE FROM fairlead.outbox AS t USING gone WHERE t.run_id = gone.id
), held AS (
    DELETE FROM fairlead.held_runs AS t USING gone WHERE t.run_id = gone.id
), letters AS (
    DELETE FROM fairlead.dead_letters AS t USING gone WHERE t.run_id = gone.id
), runs AS (
    DELETE FROM fairlead.runs AS r USING gone WHERE r.id = gone.id
)
SELECT gone.id::text FROM gone ORDER BY gone.id;
