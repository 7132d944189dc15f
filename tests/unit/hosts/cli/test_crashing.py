"""Worker processes of the demo that is interrupted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from threading import Event
from typing import Any

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli import crashing
from fairlead.hosts.cli.database import Database
from fairlead.kernel import Kernel

PATIENCE_S = 20.0


class Reluctant:
    """A process that ends only while the event loop of its parent goes on."""

    pid = 7
    stdin = None

    def __init__(self) -> None:
        self.goes_on = Event()
        self.asked = False

    def poll(self) -> int | None:
        return None

    def terminate(self) -> None:
        self.asked = True

    def wait(self, timeout: float | None = None) -> int:
        if not self.goes_on.wait(PATIENCE_S):
            raise AssertionError("the event loop stands still")
        return 0


async def test_a_worker_that_takes_its_time_to_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop, which draws and watches, goes on while it is waited for."""
    process = Reluctant()

    def started(*arguments: Any, **named: Any) -> Reluctant:
        return process

    monkeypatch.setattr(subprocess, "Popen", started)
    database = Database(url="postgresql:///nowhere", source="a test", embedded=False, schema=None)
    async with Kernel(flows=[], ports=memory_ports()) as kernel:
        handle = kernel.run("0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10")
        async with crashing._worker(1, handle, database, 1):  # pyright: ignore[reportPrivateUsage]
            asyncio.get_running_loop().call_later(0, process.goes_on.set)

    assert process.asked


def test_a_command_on_its_leash_ends_by_itself_as_ever() -> None:
    """With the exit code and the words of its own, while whoever started it still holds the other end."""
    leash = [sys.executable, "-m", "fairlead.hosts.cli.leash", "--version"]
    with subprocess.Popen(leash, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        code = process.wait(PATIENCE_S)
        assert process.stderr is not None

        assert (code, process.stderr.read()) == (0, b"")
