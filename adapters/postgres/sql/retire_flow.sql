-- A shape gives way only while no run has it.
UPDATE fairlead.flows AS f
SET current = false
WHERE f.id = %(flow_id)s
    AND NOT EXISTS (
        SELECT FROM fairlead.runs AS r WHERE r.flow_id = %(flow_id)s AND r.status IN ('pending', 'running')
    )
RETURNING f.id;
