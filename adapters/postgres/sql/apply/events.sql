-- Rows are born published where the store knows no sink: nobody is there to take them, and nobody will ask.
INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, at, flow, events, published)
SELECT
    unnest(%(event_runs)s), unnest(%(event_firsts)s), unnest(%(event_counts)s), unnest(%(event_generations)s),
    unnest(%(event_shards)s), unnest(%(event_ats)s), unnest(%(event_flows)s), unnest(%(event_documents)s),
    (SELECT fairlead.has_no_sink())
RETURNING 1;
