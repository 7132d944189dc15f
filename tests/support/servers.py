"""Programs that serve a test run: processes of their own on ports of this machine, gone when the run is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

STOP_TIMEOUT_S = 10.0

OUTLIVE_NOBODY = """
import subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: (sys.stdin.read(), server.kill()), daemon=True).start()
sys.exit(server.wait())
"""
"""Runs a command for as long as whoever started this one keeps its input open: to the end of a process, even killed."""


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """A program that serves for as long as the block, and this process, runs.

    Args:
        command: the program and its arguments.
        settings: of its environment, besides our own.
    """
    with tempfile.TemporaryDirectory(prefix="fairlead-server-") as scratch:
        process = subprocess.Popen(
            [sys.executable, "-c", OUTLIVE_NOBODY, *command],
            env={**os.environ, "TMPDIR": scratch, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(STOP_TIMEOUT_S)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
