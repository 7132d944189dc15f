"""The writes of a transaction, one table each; `settling` puts those together that have something to write."""
