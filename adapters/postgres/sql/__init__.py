"""The statements of the PostgreSQL adapter, one file each. Read through `statements`."""
