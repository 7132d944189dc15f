-- Only what nobody has written to since it was read or claimed: its token tells.
UPDATE fairlead.scheduled AS s
SET due_at = %(due_at)s,
    command = %(command)s::json,
    flow = %(flow)s,
    failures = %(failures)s,
    problem = %(problem)s,
    token = DEFAULT,
    claimed_until = NULL
WHERE s.name = %(name)s AND s.token = %(token)s
RETURNING true;
