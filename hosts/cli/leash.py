"""`python -m fairlead.hosts.cli.leash …`: the command, for as long as the process that started it lives.

That process holds the other end of stdin and never writes. Its end, of whatever kind, closes stdin, and the command is
then asked to end as by SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from . import main


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_end_with_stdin, name="fairlead-leash", daemon=True).start()
    main(prog_name="fairlead")
