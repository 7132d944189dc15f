-- Which of some runs there are.
SELECT r.id::text FROM fairlead.runs AS r WHERE r.id = ANY (%(runs)s);
