-- A command that replaces another gets a new token, so a claim on the old one is stale.
INSERT INTO fairlead.scheduled (name, due_at, command)
VALUES (%(name)s, %(due_at)s, %(command)s::json)
ON CONFLICT (name) DO UPDATE
SET due_at = excluded.due_at, command = excluded.command, token = DEFAULT, claimed_until = NULL;
