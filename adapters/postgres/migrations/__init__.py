"""The migrations, in order: `NNNN_name.sql`."""
