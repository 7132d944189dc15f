-- A map over a map that tolerates failures makes no task where the other one's has failed. A constant default rewrites
-- no row.

ALTER TABLE fairlead.steps ADD COLUMN gaps integer NOT NULL DEFAULT 0;
