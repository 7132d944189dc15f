INSERT INTO fairlead.blob_chunks (key, number, data) VALUES (%(key)s, %(number)s, %(data)s);
