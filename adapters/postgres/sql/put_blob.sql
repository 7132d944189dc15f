INSERT INTO fairlead.blobs (key, size_bytes, modified_at)
VALUES (%(key)s, %(size_bytes)s, %(modified_at)s)
ON CONFLICT DO NOTHING
RETURNING true;
