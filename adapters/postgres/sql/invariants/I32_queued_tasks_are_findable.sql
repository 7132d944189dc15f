-- Every queued task can be found by the sweep even if all messages are lost, every lease by the reaper, and every wait
-- when its time comes: all look for the flows that their host serves.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) is of flow %s, its run of flow %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.flow_id, r.flow_id
)
FROM fairlead.tasks AS t
LEFT JOIN fairlead.runs AS r ON r.id = t.run_id
WHERE t.status IN ('queued', 'running', 'suspended') AND t.flow_id IS DISTINCT FROM r.flow_id;
