INSERT INTO fairlead.signals (run_id, step, key, request_digest, sent_at, consumed_at, payload, facts)
SELECT *
FROM unnest(
    %(signal_runs)s, %(signal_steps)s, %(signal_keys)s, %(signal_digests)s, %(signal_sent_ats)s,
    %(signal_consumed_ats)s, %(signal_payloads)s, %(signal_facts)s
)
RETURNING 1;
