-- Runs that have not ended by their deadline; one that ends has none any more.
SELECT r.id::text
FROM fairlead.runs AS r
WHERE r.deadline_at <= %(before)s AND r.id <> ALL (%(leave_out)s)
ORDER BY r.deadline_at, r.id
LIMIT %(limit)s;
