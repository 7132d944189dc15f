INSERT INTO fairlead.scheduled (name, due_at, command, flow)
SELECT given.name, given.due_at, given.command::json, given.flow
FROM json_to_record(CAST(CAST(%(given)s AS text) AS json)) AS given (
    name text, due_at timestamptz, command text, flow text
)
ON CONFLICT (name) DO NOTHING
RETURNING true;
