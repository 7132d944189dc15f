-- One run per (flow, key).
SELECT format('key %L of flow %s has %s runs', r.key, r.flow, count(*))
FROM fairlead.runs AS r
WHERE r.key IS NOT NULL
GROUP BY r.flow, r.key
HAVING count(*) > 1;
