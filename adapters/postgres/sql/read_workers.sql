SELECT
    w.worker, w.kind, w.host, w.pid, w.flows, w.versions, w.queues, w.slots, w.sinks, w.started_at, w.seen_at,
    w.ended_at
FROM fairlead.workers AS w
ORDER BY w.worker;
