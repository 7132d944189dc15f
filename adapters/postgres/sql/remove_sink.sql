-- From now on no row needs the sink, and none is leased for it.
UPDATE fairlead.sinks AS k SET removed = true WHERE k.name = %(name)s RETURNING k.id::integer;
