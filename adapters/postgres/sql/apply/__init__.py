"""The writes of a transaction, one table each; `settling` puts those together that have something to write.

The columns of a batch are unnested side by side in a select list: they have one length, and its rows go straight on.
In FROM, as elsewhere, each column is first kept whole, which for the fifteen columns of a table takes twice as long.
"""
