"""The command line, `fairlead`.

Each command is one module: `demo`, `worker`, `start`, `runs`, `schedules`, `deferred`, `flows`, `migrate`, `db`,
`completion`. A command parses, calls what any library user could call, and shows the answer; it decides nothing. What
they share:

- `command` options and how commands fail, `exit_codes`, `failing`, `extras`;
- `database` which database, `blobs` and their store, `serving` a kernel on it, `reading` it without any flow;
- `proposals` commands that messages propose, completed;
- `loading` MODULE:KERNEL, `flow_sources` and MODULE:FLOW, `run_names` and `moments` what people type;
- `output` tables, JSON and colours, `records` runs as JSON, `details` and `payloads` runs as text, `flow_words` flows;
- `watching` a run until it ends, shown by `displays` or `picture`, its events in `event_words`;
- of `flows`: `flow_checks`, `flow_picture`; of `demo`: `surveying`, `crashing`, `survey_words`.

What programs may rely on: the keys of `--json`, and exit codes (`exit_codes`). Results go to stdout, everything else
to stderr. `rich` (in `picture` alone) and all adapters are imported inside the commands that use them, so that
`fairlead --help` is quick.
"""

from .program import main

__all__ = ["main"]
