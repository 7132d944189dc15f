-- Whoever took a worker id over last has it, and the last word counts: what was said earlier changes nothing.
WITH forgotten AS (
    DELETE FROM fairlead.workers AS w
    WHERE w.worker IN (
        SELECT old.worker
        FROM fairlead.workers AS old
        WHERE old.seen_at < %(forget_before)s AND old.worker <> %(worker)s
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO fairlead.workers AS w (
    worker, kind, host, pid, flows, versions, queues, slots, sinks, started_at, seen_at, ended_at
)
VALUES (
    %(worker)s, %(kind)s, %(host)s, %(pid)s, %(flows)s, %(versions)s, %(queues)s, %(slots)s, %(sinks)s,
    %(started_at)s, %(seen_at)s, %(ended_at)s
)
ON CONFLICT (worker) DO UPDATE
SET kind = excluded.kind, host = excluded.host, pid = excluded.pid, flows = excluded.flows,
    versions = excluded.versions, queues = excluded.queues, slots = excluded.slots, sinks = excluded.sinks,
    started_at = excluded.started_at, seen_at = excluded.seen_at, ended_at = excluded.ended_at
WHERE (w.started_at, w.seen_at) <= (excluded.started_at, excluded.seen_at);
