-- Only leased tasks are read, as many as all hosts have slots.
SELECT t.queue, f.slug, f.version, count(*)
FROM fairlead.tasks AS t
JOIN fairlead.flows AS f ON f.id = t.flow_id
WHERE t.running AND t.lease_until > %(now)s
GROUP BY t.queue, f.slug, f.version;
