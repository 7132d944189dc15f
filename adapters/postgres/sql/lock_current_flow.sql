SELECT f.id, f.slug, f.version, f.fingerprint, f.shape
FROM fairlead.flows AS f
WHERE f.slug = %(slug)s AND f.version = %(version)s AND f.current
FOR UPDATE;
