-- One registers or removes at a time: numbers are few, and are used again. The lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('fairlead.sinks', 0));
