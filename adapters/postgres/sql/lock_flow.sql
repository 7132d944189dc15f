-- A lock on a name rather than on a row, since it is the row that is replaced. It ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(slug)s || ' ' || %(version)s, 0));
