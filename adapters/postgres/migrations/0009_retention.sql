-- Runs of one flow by age: what is pruned of a flow is found without reading what others keep, and so is a page of its
-- runs. Neither column ever changes, so no update of a run touches the index.

CREATE INDEX runs_of_flow ON fairlead.runs (flow, created_at, id);
