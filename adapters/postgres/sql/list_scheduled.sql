-- Names sort by their bytes, so those with one beginning stand together, before the last character that there is.
SELECT s.name, s.due_at, s.command, s.flow, s.failures, s.problem, s.token, s.claimed_until
FROM fairlead.scheduled AS s
WHERE s.name > %(after)s AND s.name >= %(prefix)s AND s.name < %(prefix)s || chr(1114111)
ORDER BY s.name
LIMIT %(limit)s;
