-- A map of which only the failed elements run again keeps what it has completed: the generations since `retry_of` count
-- together, and `kept` elements have no task in the newest. Constant defaults rewrite no row.

ALTER TABLE fairlead.steps
    ADD COLUMN retry_of integer,
    ADD COLUMN kept integer NOT NULL DEFAULT 0;
