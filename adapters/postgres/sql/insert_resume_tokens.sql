INSERT INTO fairlead.resume_tokens (digest, run_id, step, created_at, expires_at)
SELECT *
FROM (
    SELECT
        unnest(%(digests)s) AS digest,
        unnest(%(run_ids)s) AS run_id,
        unnest(%(steps)s) AS step,
        unnest(%(created_ats)s) AS created_at,
        unnest(%(expires_ats)s) AS expires_at
) AS new
ORDER BY new.digest
ON CONFLICT (digest) DO NOTHING;
