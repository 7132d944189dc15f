"""The decisions: pure functions from what was loaded, a command and the time to `Changes`.

Nothing here awaits, reads a clock or draws a number. `start`, `claim`, `settle`, `wake`, `signal`, `rerun`, `cancel`,
`expire` and `annotate` each serve commands about runs, `scheduling` and `firing` those about what is scheduled,
`holding` the flusher, `keeping` the collection of blobs. What most of them share is `RunProgress`: one run, advanced
step by step in memory and turned into rows at the end.
"""
