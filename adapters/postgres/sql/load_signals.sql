-- All signals of runs that this transaction holds: a run has few.
SELECT s.run_id::text, s.step, s.key, s.request_digest, s.sent_at, s.consumed_at, s.payload, s.facts
FROM fairlead.signals AS s
WHERE s.run_id = ANY (%(runs)s)
ORDER BY s.run_id, s.sent_at, s.step, s.key;
