-- Whoever overwrites holds the key's row until the commit, so that two never mix their chunks.
INSERT INTO fairlead.blobs (key, size_bytes, modified_at)
VALUES (%(key)s, %(size_bytes)s, %(modified_at)s)
ON CONFLICT (key) DO UPDATE SET size_bytes = excluded.size_bytes, modified_at = excluded.modified_at
RETURNING true;
