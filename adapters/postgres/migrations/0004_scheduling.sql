-- Scheduled commands that need a flow's code, that wait for somebody to give them a time, that could not be carried out.
-- A claimed one is ready again when its claim ends, so one index answers what is due and what is due next.

DROP INDEX fairlead.scheduled_due;
ALTER TABLE fairlead.scheduled
    ALTER COLUMN due_at DROP NOT NULL,
    ADD COLUMN flow text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN problem text,
    ADD COLUMN ready_at timestamptz
        GENERATED ALWAYS AS (CASE WHEN due_at IS NOT NULL THEN GREATEST(due_at, claimed_until) END) STORED;
CREATE INDEX scheduled_ready ON fairlead.scheduled (flow, ready_at, name) WHERE ready_at IS NOT NULL;
