"""A plugin of pytest that watches the marks: `-p tests.marks.plugin`. Which tests reached each is written to a file.

The environment variable `FAIRLEAD_MARKS` says to which. Fixtures count with the test that first asked for them.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .watching import watched

FILE = "FAIRLEAD_MARKS"


class Watcher:
    """Notes what each test reaches."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._watching = ExitStack()
        self._reached = Counter[str]()
        self._tests: dict[str, list[str]] = {}

    def pytest_sessionstart(self) -> None:
        """Begin to watch."""
        self._reached = self._watching.enter_context(watched())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool | None, bool | None]:
        """Watch one test, with its fixtures."""
        self._reached.clear()
        answer = yield
        for what in self._reached:
            self._tests.setdefault(what, []).append(item.nodeid)
        return answer

    def pytest_sessionfinish(self) -> None:
        """Write down what was reached."""
        self._watching.close()
        self._file.write_text(json.dumps(self._tests), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Let a watcher see all tests."""
    config.pluginmanager.register(Watcher(Path(os.environ[FILE])))
