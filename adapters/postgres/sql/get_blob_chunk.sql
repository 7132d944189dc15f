SELECT c.data FROM fairlead.blob_chunks AS c WHERE c.key = %(key)s AND c.number = %(number)s;
