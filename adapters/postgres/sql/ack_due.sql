DELETE FROM fairlead.scheduled AS s
WHERE s.name = %(name)s AND s.token = %(token)s AND s.claimed_until IS NOT NULL
RETURNING true;
