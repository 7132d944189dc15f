SELECT p.run_id::text, p.step, p.generation, p.element, p.token, p.attempt, p.at, p.done, p.total, p.message
FROM fairlead.progress AS p
WHERE p.run_id = %(run)s::uuid
ORDER BY p.at DESC, p.step, p.generation, p.element
LIMIT %(limit)s;
