INSERT INTO fairlead.signals (run_id, step, key, request_digest, sent_at, consumed_at, payload, facts)
SELECT
    unnest(%(signal_runs)s), unnest(%(signal_steps)s), unnest(%(signal_keys)s), unnest(%(signal_digests)s),
    unnest(%(signal_sent_ats)s), unnest(%(signal_consumed_ats)s), unnest(%(signal_payloads)s),
    unnest(%(signal_facts)s)
RETURNING 1;
