"""`python -m fairlead.hosts.cli.leash …`: the command, for as long as the process that started it lives.

That process holds the other end of stdin and never writes. Its end, of whatever kind, closes stdin, and the command is
then asked to end as by SIGTERM.
"""

from __future__ import annotations

import os
import signal
from threading import Thread

from . import main

STDIN = 0


def _end_with_stdin() -> None:
    while os.read(STDIN, 4096):  # not sys.stdin, whose lock this thread would hold when the command ends by itself
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_end_with_stdin, name="fairlead-leash", daemon=True).start()
    main(prog_name="fairlead")
