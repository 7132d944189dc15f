"""The invariants of stored rows: each query answers with no row on a healthy database."""
