-- A shape that this version had before gets its old id again: an id stands for one shape for ever.
INSERT INTO fairlead.flows (slug, version, fingerprint, shape, current, registered_at)
VALUES (%(slug)s, %(version)s, %(fingerprint)s, %(shape)s::json, true, %(registered_at)s)
ON CONFLICT (slug, version, fingerprint) DO UPDATE
SET current = true, shape = excluded.shape, registered_at = excluded.registered_at
RETURNING id, slug, version, fingerprint, shape;
