-- Rows are born published where the store knows no sink: nobody is there to take them, and nobody will ask.
INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, at, flow, events, published)
SELECT *, (SELECT fairlead.has_no_sink())
FROM unnest(
    %(event_runs)s, %(event_firsts)s, %(event_counts)s, %(event_generations)s, %(event_shards)s,
    %(event_ats)s, %(event_flows)s, %(event_documents)s
)
RETURNING 1;
