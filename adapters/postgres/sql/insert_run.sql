-- As insert_runs, for one run: planned at half the cost of the columns of many. What limits the wait for another
-- transaction's lock is evaluated before the first row is inserted, and ends with the transaction.
WITH inserted AS (
    INSERT INTO fairlead.runs (
        id, flow_id, flow, version, fingerprint, key, request_digest,
        priority, generation, next_sequence, created_at, input, config, facts
    )
    SELECT
        %(id)s, %(flow_id)s, %(flow)s, %(version)s, %(fingerprint)s, %(key)s, %(request_digest)s,
        %(priority)s, %(generation)s, %(next_sequence)s, %(created_at)s, %(input)s, %(config)s, %(facts)s
    FROM set_config('lock_timeout', %(lock_wait)s, true)
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, at, flow, events, published)
SELECT
    id, %(first_sequence)s, %(count)s, %(generation)s, %(shard)s, %(at)s, %(flow)s, %(events)s,
    fairlead.has_no_sink()
FROM inserted
RETURNING true;
