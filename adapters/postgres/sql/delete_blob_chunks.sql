DELETE FROM fairlead.blob_chunks AS c WHERE c.key = %(key)s;
