-- The blob's size and its first chunk: all of it, for most.
SELECT b.size_bytes, c.data
FROM fairlead.blobs AS b
LEFT JOIN fairlead.blob_chunks AS c ON c.key = b.key AND c.number = 0
WHERE b.key = %(key)s;
