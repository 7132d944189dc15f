-- Another document of the same shape: the row stays, and with it whatever runs rely on.
UPDATE fairlead.flows AS f
SET shape = %(shape)s::json
WHERE f.slug = %(slug)s AND f.version = %(version)s AND f.fingerprint = %(fingerprint)s AND f.current
RETURNING f.id, f.slug, f.version, f.fingerprint, f.shape;
