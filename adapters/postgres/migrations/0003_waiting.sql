-- Waiting. One column says what a suspended task waits for and one when that is to be looked at, so an idle host finds
-- all of it with one probe per flow. `wake_at` is NULL unless a task is suspended, and `deadline_at` where a run has no
-- deadline: the indexes hold what waits and nothing else, and no update of a task or a run that does not wait touches
-- them. A constant default rewrites no row.

ALTER TABLE fairlead.tasks RENAME COLUMN check_at TO wake_at;
ALTER TABLE fairlead.tasks DROP COLUMN signal;
CREATE INDEX tasks_waiting ON fairlead.tasks (flow_id, wake_at, run_id, step, generation, element)
    WHERE wake_at IS NOT NULL;

ALTER TABLE fairlead.runs ADD COLUMN signals integer NOT NULL DEFAULT 0;
CREATE INDEX runs_deadline ON fairlead.runs (deadline_at, id) WHERE deadline_at IS NOT NULL;

ALTER TABLE fairlead.signals RENAME COLUMN name TO step;
ALTER TABLE fairlead.signals DROP COLUMN consumed_by;
ALTER TABLE fairlead.signals ADD COLUMN facts json;

CREATE TABLE fairlead.resume_tokens (
    digest text COLLATE "C" PRIMARY KEY,
    run_id uuid NOT NULL,
    step text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX resume_tokens_run ON fairlead.resume_tokens (run_id);
