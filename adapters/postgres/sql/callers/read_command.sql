SELECT s.command::text
FROM json_to_record(CAST(CAST(%(given)s AS text) AS json)) AS wanted (name text)
JOIN fairlead.scheduled AS s ON s.name = wanted.name;
