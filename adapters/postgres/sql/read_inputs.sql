SELECT r.id::text, r.input, r.config
FROM fairlead.runs AS r
WHERE r.id = ANY (%(runs)s);
