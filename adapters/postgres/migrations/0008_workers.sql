-- Which hosts there are, as they say: one row for each worker id, rewritten every half minute and never indexed but by
-- its key.

CREATE TABLE fairlead.workers (
    worker text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    flows text[] COLLATE "C" NOT NULL,
    versions text[] COLLATE "C" NOT NULL,
    queues text[] COLLATE "C" NOT NULL,
    slots integer NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ended_at timestamptz
) WITH (fillfactor = 50);
