INSERT INTO fairlead.resume_tokens (digest, run_id, step, created_at, expires_at)
SELECT *
FROM unnest(%(digests)s, %(run_ids)s, %(steps)s, %(created_ats)s, %(expires_ats)s)
    AS new (digest, run_id, step, created_at, expires_at)
ORDER BY new.digest
ON CONFLICT (digest) DO NOTHING;
