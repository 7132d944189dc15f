-- A blob of one chunk in one statement; nothing happens where the key is taken.
WITH put AS (
    INSERT INTO fairlead.blobs (key, size_bytes, modified_at)
    VALUES (%(key)s, %(size_bytes)s, %(modified_at)s)
    ON CONFLICT DO NOTHING
    RETURNING key
)
INSERT INTO fairlead.blob_chunks (key, number, data)
SELECT put.key, 0, %(data)s FROM put
RETURNING true;
