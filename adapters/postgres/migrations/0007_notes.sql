-- What attempts say while they run, and what runs are found by. Nothing of it is in a row that a plain run updates.
--
-- The entries of a run are numbered through its row in log_counters, which is locked until they are committed: who reads
-- a number finds none below it later. Annotations stand twice: as they were written, and as they are searched.

CREATE TABLE fairlead.log_counters (
    run_id uuid PRIMARY KEY,
    last bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE fairlead.logs (
    run_id uuid NOT NULL,
    number bigint NOT NULL,
    generation integer NOT NULL,
    element integer NOT NULL,
    token integer NOT NULL,
    attempt integer NOT NULL,
    sequence integer NOT NULL,
    at timestamptz NOT NULL,
    step text COLLATE "C" NOT NULL,
    level text NOT NULL,
    message text NOT NULL,
    fields json,
    PRIMARY KEY (run_id, number)
);
CREATE UNIQUE INDEX logs_noted ON fairlead.logs (run_id, step, generation, element, token, sequence);

CREATE TABLE fairlead.progress (
    run_id uuid NOT NULL,
    generation integer NOT NULL,
    element integer NOT NULL,
    token integer NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    done double precision NOT NULL,
    total double precision,
    step text COLLATE "C" NOT NULL,
    message text,
    PRIMARY KEY (run_id, step, generation, element)
) WITH (fillfactor = 50);

CREATE TABLE fairlead.run_annotations (
    run_id uuid PRIMARY KEY,
    annotations json NOT NULL,
    searched jsonb NOT NULL
);
CREATE INDEX run_annotations_searched ON fairlead.run_annotations USING gin (searched jsonb_path_ops);
