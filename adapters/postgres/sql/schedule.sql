-- A command that replaces another gets a new token, so a claim on the old one is stale.
INSERT INTO fairlead.scheduled AS s (name, due_at, command, flow, failures, problem)
VALUES (%(name)s, %(due_at)s, %(command)s::json, %(flow)s, %(failures)s, %(problem)s)
ON CONFLICT (name) DO UPDATE
SET due_at = excluded.due_at,
    command = excluded.command,
    flow = excluded.flow,
    failures = excluded.failures,
    problem = excluded.problem,
    token = DEFAULT,
    claimed_until = NULL
WHERE %(replace)s
RETURNING true;
