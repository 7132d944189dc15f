SELECT s.name, s.due_at, s.command, s.flow, s.failures, s.problem, s.token, s.claimed_until
FROM fairlead.scheduled AS s
WHERE s.name = %(name)s;
