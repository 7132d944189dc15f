-- The first schema: everything that runs, steps, tasks and events need, and the columns of waiting, generations,
-- queues, priorities and losses, so that later migrations need not rewrite a hot table.
--
-- Payloads are json, never jsonb: they come back byte for byte. Hot tables have no foreign keys. Slugs sort by
-- bytes. `pending`, `queued` and `running` are generated, because an index that names `status` itself would turn
-- every change of status into an update of all indexes; through these columns only the changes that concern an
-- index do. Half of each page of runs, steps and tasks is left to the later versions of its rows: they stay where they
-- are, most without touching an index, and the tables end no larger.

CREATE TABLE fairlead.flows (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    shape json NOT NULL,
    current boolean NOT NULL,
    registered_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX flows_current ON fairlead.flows (slug, version) WHERE current;
CREATE UNIQUE INDEX flows_shape ON fairlead.flows (slug, version, fingerprint);

CREATE TABLE fairlead.runs (
    id uuid PRIMARY KEY,
    flow_id integer NOT NULL,
    flow text COLLATE "C" NOT NULL,
    version text NOT NULL,
    fingerprint text NOT NULL,
    key text COLLATE "C",
    request_digest text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    pending boolean NOT NULL GENERATED ALWAYS AS (status = 'pending') STORED,
    checked boolean NOT NULL DEFAULT true,
    priority integer NOT NULL DEFAULT 0,
    generation integer NOT NULL DEFAULT 1,
    next_sequence integer NOT NULL DEFAULT 1,
    remaining_steps integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    deadline_at timestamptz,
    reason text,
    input json NOT NULL,
    config json,
    facts json,
    error json
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX runs_key ON fairlead.runs (flow, key) WHERE key IS NOT NULL;
CREATE INDEX runs_pending ON fairlead.runs (flow_id, priority DESC, created_at, id) WHERE pending;
CREATE INDEX runs_listed ON fairlead.runs (created_at, id);

CREATE TABLE fairlead.run_generations (
    run_id uuid NOT NULL,
    generation integer NOT NULL,
    status text NOT NULL,
    started_at timestamptz,
    ended_at timestamptz NOT NULL,
    reason text,
    error json,
    PRIMARY KEY (run_id, generation)
);

CREATE TABLE fairlead.steps (
    run_id uuid NOT NULL,
    generation integer NOT NULL,
    remaining_dependencies integer NOT NULL,
    elements integer,
    remaining_tasks integer,
    failed_tasks integer NOT NULL,
    cursor integer NOT NULL,
    slug text COLLATE "C" NOT NULL,
    status text NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    reason text,
    facts json,
    error json,
    PRIMARY KEY (run_id, slug, generation)
) WITH (fillfactor = 45);

CREATE TABLE fairlead.tasks (
    run_id uuid NOT NULL,
    generation integer NOT NULL,
    element integer NOT NULL,
    step text COLLATE "C" NOT NULL,
    flow_id integer NOT NULL,
    priority integer NOT NULL,
    token integer NOT NULL DEFAULT 0,
    settled_token integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    checks integer NOT NULL DEFAULT 0,
    status text NOT NULL,
    queued boolean NOT NULL GENERATED ALWAYS AS (status = 'queued') STORED,
    running boolean NOT NULL GENERATED ALWAYS AS (status = 'running') STORED,
    lost boolean NOT NULL GENERATED ALWAYS AS (losses > 0) STORED,
    phase text NOT NULL DEFAULT 'run',
    queue text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    ready_at timestamptz NOT NULL,
    started_at timestamptz,
    lease_until timestamptz,
    ended_at timestamptz,
    check_at timestamptz,
    give_up_at timestamptz,
    worker text,
    waits_for text,
    signal text COLLATE "C",
    reason text,
    state json,
    output json,
    error json,
    PRIMARY KEY (run_id, step, generation, element)
) WITH (fillfactor = 50);
CREATE INDEX tasks_queued
    ON fairlead.tasks (queue, flow_id, lost, priority DESC, ready_at, run_id, step, generation, element)
    WHERE queued;
CREATE INDEX tasks_leased ON fairlead.tasks (lease_until) WHERE running;

CREATE TABLE fairlead.attempts (
    run_id uuid NOT NULL,
    step text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    element integer NOT NULL,
    token integer NOT NULL,
    attempt integer NOT NULL,
    worker text,
    ended_at timestamptz NOT NULL,
    reason text NOT NULL,
    error json,
    PRIMARY KEY (run_id, step, generation, element, token)
);

CREATE TABLE fairlead.outbox (
    run_id uuid NOT NULL,
    first_sequence integer NOT NULL,
    count integer NOT NULL,
    generation integer NOT NULL,
    shard smallint NOT NULL,
    published boolean NOT NULL,
    at timestamptz NOT NULL,
    flow text COLLATE "C" NOT NULL,
    events json NOT NULL,
    PRIMARY KEY (run_id, first_sequence)
);
CREATE INDEX outbox_unpublished ON fairlead.outbox (shard, run_id, first_sequence) WHERE NOT published;

CREATE TABLE fairlead.outbox_shards (
    shard smallint PRIMARY KEY,
    token bigint NOT NULL DEFAULT 0,
    worker text,
    lease_until timestamptz
) WITH (fillfactor = 50);
INSERT INTO fairlead.outbox_shards (shard) SELECT generate_series(0, 63);

CREATE TABLE fairlead.signals (
    run_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    request_digest text NOT NULL,
    sent_at timestamptz NOT NULL,
    consumed_at timestamptz,
    consumed_by text,
    payload json NOT NULL,
    PRIMARY KEY (run_id, name, key)
);

CREATE TABLE fairlead.scheduled (
    name text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL,
    token bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY,
    claimed_until timestamptz,
    command json NOT NULL
);
CREATE INDEX scheduled_due ON fairlead.scheduled (due_at, name);

CREATE TABLE fairlead.blobs (
    key text COLLATE "C" PRIMARY KEY,
    size_bytes bigint NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE TABLE fairlead.blob_chunks (
    key text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (key, number)
);
ALTER TABLE fairlead.blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL;
