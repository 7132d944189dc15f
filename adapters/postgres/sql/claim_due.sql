-- No two live claims hold one command. Tokens come from one sequence, so none is ever given out twice.
WITH due AS MATERIALIZED (
    SELECT s.name
    FROM fairlead.scheduled AS s
    WHERE s.flow = ANY (%(flows)s) AND s.ready_at <= %(now)s
    ORDER BY s.ready_at, s.name
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE fairlead.scheduled AS s
    SET token = DEFAULT, claimed_until = %(until)s
    FROM due
    WHERE s.name = due.name
    RETURNING s.name, s.due_at, s.command, s.flow, s.failures, s.problem, s.token, s.claimed_until
)
SELECT name, due_at, command, flow, failures, problem, token, claimed_until
FROM claimed
ORDER BY due_at, name;
