"""How thoroughly processes are killed, and the process that makes them."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.postgres_subject import create_tables

from .zygote import Order, written

ROOT = Path(__file__).parents[2]


class Zygote:
    """Makes processes and tells how they ended."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def carry_out(self, order: Order) -> bool:
        """Have an order carried out; whether the process came to its end, and was not killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(written(order), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())

        assert status in (0, -signal.SIGKILL), self._log.read_text()
        return not status


@pytest.fixture(scope="session")
def zygote() -> Generator[Zygote]:
    """A process that has loaded everything."""
    with tempfile.TemporaryDirectory(prefix="fairlead-crashes-") as folder:
        log = Path(folder, "log")
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.crashes.zygote"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", log.read_text()
        yield Zygote(process, log)
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def new_database(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Callable[[], AbstractContextManager[str]]:
    """Makes databases that have the tables."""
    template = template_factory("migrated", create_tables)
    return lambda: database_factory(template)
