-- What an attempt noted counts until its lease ended: while it runs, whenever its outcome is what its task was settled
-- with, and else up to the time when it was cancelled or lost. One that neither failed nor lost its lease, and is not the
-- last, has suspended its task. The runs are held against being pruned meanwhile, and against nothing else, so that no
-- row is left of a run that is gone.
--
-- Counters first, in order of run: whoever waits for one inserts nothing before it has it, so a run's entries appear in
-- the order of their numbers. What was written by an earlier try is left as it is, and of a task's progress the latest.
WITH noting AS MATERIALIZED (
    SELECT *
    FROM unnest(%(log_runs)s, %(log_steps)s, %(log_generations)s, %(log_elements)s, %(log_tokens)s)
        AS logged (run_id, step, generation, element, token)
    UNION
    SELECT *
    FROM unnest(
        %(progress_runs)s, %(progress_steps)s, %(progress_generations)s, %(progress_elements)s, %(progress_tokens)s
    ) AS told (run_id, step, generation, element, token)
), held AS MATERIALIZED (
    SELECT mine.id
    FROM (SELECT DISTINCT noting.run_id AS id FROM noting ORDER BY id) AS wanted
    CROSS JOIN LATERAL (
        SELECT r.id FROM fairlead.runs AS r WHERE r.id = wanted.id FOR KEY SHARE
    ) AS mine
), leases AS MATERIALIZED (
    SELECT
        noting.run_id, noting.step, noting.generation, noting.element, noting.token,
        coalesce(
            CASE
                WHEN task.settled_token = noting.token OR (task.running AND task.token = noting.token) THEN 'infinity'
                WHEN task.token = noting.token THEN task.ended_at
            END,
            (
                SELECT a.ended_at
                FROM fairlead.attempts AS a
                WHERE a.run_id = noting.run_id
                    AND a.step = noting.step
                    AND a.generation = noting.generation
                    AND a.element = noting.element
                    AND a.token = noting.token
            ),
            CASE WHEN task.phase = 'check' AND noting.token < task.token THEN 'infinity'::timestamptz END
        ) AS ended_at
    FROM noting
    JOIN held ON held.id = noting.run_id
    CROSS JOIN LATERAL (
        SELECT t.running, t.token, t.settled_token, t.ended_at, t.phase
        FROM fairlead.tasks AS t
        WHERE t.run_id = noting.run_id
            AND t.step = noting.step
            AND t.generation = noting.generation
            AND t.element = noting.element
        LIMIT 1
    ) AS task
), given AS (
    SELECT given.*
    FROM unnest(
        %(log_runs)s, %(log_steps)s, %(log_generations)s, %(log_elements)s, %(log_tokens)s, %(log_attempts)s,
        %(log_sequences)s, %(log_ats)s, %(log_levels)s, %(log_messages)s, %(log_fields)s
    ) WITH ORDINALITY AS given (
        run_id, step, generation, element, token, attempt, sequence, at, level, message, fields, place
    )
    JOIN leases USING (run_id, step, generation, element, token)
    WHERE given.at <= leases.ended_at
), counted AS (
    INSERT INTO fairlead.log_counters AS c (run_id, last)
    SELECT given.run_id, count(*) FROM given GROUP BY given.run_id ORDER BY given.run_id
    ON CONFLICT (run_id) DO UPDATE SET last = c.last + excluded.last
    RETURNING run_id, last
), logged AS (
    INSERT INTO fairlead.logs (
        run_id, number, step, generation, element, token, attempt, sequence, at, level, message, fields
    )
    SELECT
        given.run_id,
        counted.last - count(*) OVER run + row_number() OVER (run ORDER BY given.place),
        given.step, given.generation, given.element, given.token, given.attempt, given.sequence, given.at,
        given.level, given.message, given.fields
    FROM given
    JOIN counted ON counted.run_id = given.run_id
    WINDOW run AS (PARTITION BY given.run_id)
    ON CONFLICT DO NOTHING
)
INSERT INTO fairlead.progress AS p (run_id, step, generation, element, token, attempt, at, done, total, message)
SELECT DISTINCT ON (told.run_id, told.step, told.generation, told.element)
    told.run_id, told.step, told.generation, told.element, told.token, told.attempt, told.at, told.done, told.total,
    told.message
FROM unnest(
    %(progress_runs)s, %(progress_steps)s, %(progress_generations)s, %(progress_elements)s, %(progress_tokens)s,
    %(progress_attempts)s, %(progress_ats)s, %(progress_dones)s, %(progress_totals)s, %(progress_messages)s
) WITH ORDINALITY AS told (run_id, step, generation, element, token, attempt, at, done, total, message, place)
JOIN leases USING (run_id, step, generation, element, token)
WHERE told.at <= leases.ended_at
ORDER BY
    told.run_id, told.step, told.generation, told.element, told.token DESC, told.at DESC, told.place DESC
ON CONFLICT (run_id, step, generation, element) DO UPDATE
SET token = excluded.token, attempt = excluded.attempt, at = excluded.at, done = excluded.done,
    total = excluded.total, message = excluded.message
WHERE (p.token, p.at) <= (excluded.token, excluded.at);
