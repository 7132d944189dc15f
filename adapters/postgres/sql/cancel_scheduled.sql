DELETE FROM fairlead.scheduled AS s WHERE s.name = %(name)s RETURNING true;
