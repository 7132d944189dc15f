WITH deleted AS (
    DELETE FROM fairlead.blobs AS b WHERE b.key = %(key)s
)
DELETE FROM fairlead.blob_chunks AS c WHERE c.key = %(key)s;
