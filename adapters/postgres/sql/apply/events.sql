INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, published, at, flow, events)
SELECT *
FROM unnest(
    %(event_runs)s, %(event_firsts)s, %(event_counts)s, %(event_generations)s, %(event_shards)s,
    %(event_published)s, %(event_ats)s, %(event_flows)s, %(event_documents)s
)
RETURNING 1;
