-- Keys are ASCII and sort by bytes, so those with a prefix stand together.
SELECT b.key, b.size_bytes, b.modified_at
FROM fairlead.blobs AS b
WHERE b.key >= %(prefix)s::text
    AND starts_with(b.key, %(prefix)s)
    AND (%(after)s::text IS NULL OR b.key > %(after)s)
    AND (%(older_than)s::timestamptz IS NULL OR b.modified_at < %(older_than)s)
ORDER BY b.key
LIMIT %(limit)s;
