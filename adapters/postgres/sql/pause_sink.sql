UPDATE fairlead.sinks AS k
SET pauses = %(pauses)s, not_before = %(not_before)s::timestamptz, problem = %(problem)s::text
WHERE k.name = %(name)s;
