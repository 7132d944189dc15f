SELECT true FROM fairlead.blobs AS b WHERE b.key = %(key)s;
