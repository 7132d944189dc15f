-- Transactions that may have put rows down for sinks as these were before this statement: a statement locks the table
-- before it sees anything. Prepared transactions have no process.
SELECT l.virtualtransaction
FROM pg_locks AS l
WHERE l.locktype = 'relation'
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.relation = to_regclass(%(outbox)s)
    AND l.mode = 'RowExclusiveLock'
    AND l.granted
    AND l.pid IS DISTINCT FROM pg_backend_pid();
