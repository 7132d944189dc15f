"""The decisions: pure functions from what was loaded, a command and the time to `Changes`.

Nothing here awaits, reads a clock or draws a number. `start`, `claim` and `settle` each serve their commands;
`RunProgress` is what they share: one run, advanced step by step in memory and turned into rows at the end.
"""
