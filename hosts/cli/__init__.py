"""The command line, `fairlead`.

Each command is one module: `demo`, `worker`, `start`, `runs`, `migrate`, `db`. They share `command` (options and how
commands fail), `database` (which database, and its ports), `loading` (MODULE:KERNEL) and `output`. A command parses,
calls what any library user could call, and shows the answer; it decides nothing.

What programs may rely on: the keys of `--json`, and exit codes (`exit_codes`). Results go to stdout, everything else
to stderr. `rich` and all adapters are imported inside the commands that use them, so that `fairlead --help` is quick.
"""

from .program import main

__all__ = ["main"]
