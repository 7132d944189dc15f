SELECT k.digest, k.run_id::text, k.step, k.created_at, k.expires_at
FROM fairlead.resume_tokens AS k
WHERE k.digest = %(digest)s;
