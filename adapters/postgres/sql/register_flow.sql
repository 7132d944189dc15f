-- Whoever comes first inserts; everybody reads the one row in the next statement.
INSERT INTO fairlead.flows (slug, version, fingerprint, shape, current, registered_at)
VALUES (%(slug)s, %(version)s, %(fingerprint)s, %(shape)s::json, true, %(registered_at)s)
ON CONFLICT DO NOTHING;
