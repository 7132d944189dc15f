DELETE FROM fairlead.scheduled AS s WHERE s.name = %(name)s AND s.token = %(token)s RETURNING true;
