-- At most one live lease per task: a running task has one, with a worker; any other has none.
SELECT format(
    'task %s/%s/%s/%s (%s, token %s) is leased to %s until %s',
    t.run_id, t.step, t.generation, t.element, t.status, t.token, t.worker, t.lease_until
)
FROM fairlead.tasks AS t
WHERE (t.status = 'running') <> (t.lease_until IS NOT NULL)
    OR (t.lease_until IS NOT NULL AND t.worker IS NULL);
