"""A reader who does what a page says: writes its files, executes its code, gives its commands, compares what comes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from .commands import PATIENCE_S
from .pages import KEYS, Block
from .shown import Ids, unlike

LOOK_EVERY_S = 0.02
"""A file has no way to tell that another process has written to it."""


class Reader:
    """Reads one page.

    Args:
        folder: an empty one.
        environment: of the commands; they find Python and `fairlead` as in an active virtual environment.
        module: where the page's Python blocks are executed.
    """

    def __init__(self, folder: Path, environment: dict[str, str], module: ModuleType) -> None:
        self._folder = folder
        self._environment = {
            **environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "100",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a reader has pytest and Fairlead, and not what else is here
            "PYTEST_PLUGINS": "fairlead.hosts.pytest_plugin",
        }
        self._module = module
        self._ids = Ids()
        self._printed = ""
        self._terminals: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def do(self, block: Block) -> None:
        """Do what a block says."""
        if block.not_run:
            return
        if block.file is not None:
            self._write(block, *block.file)
        elif block.language == "python":
            self._execute(block)
        elif block.language == "text":
            self._compare(block, block.text.splitlines(), self._printed)
            self._printed = ""
        elif block.language == "console":
            self._command(block)

    @property
    def not_shown(self) -> str:
        """What the page's code has printed, and the page does not show so far."""
        return self._printed

    def leave(self) -> None:
        """End what still runs in other terminals."""
        for process, _ in self._terminals.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process, _ in self._terminals.values():
            try:
                process.wait(PATIENCE_S)
            finally:
                _kill(process)

    def _write(self, block: Block, name: str, more: bool) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert more == path.exists(), f"{block}: {name} exists already, or not yet"
        first, _, text = block.text.partition("\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}" if more else f"{first}\n{text}")

    def _execute(self, block: Block) -> None:
        assert not self._printed, f"{block}: the page has not shown what was printed before:\n{self._printed}"
        # As many empty lines as stand before it on the page, so that tracebacks name the page's lines.
        code = compile("\n" * block.line + block.text, str(block.page), "exec", dont_inherit=True)
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(code, vars(self._module))
        self._printed = printed.getvalue()

    def _command(self, block: Block) -> None:
        commands = list(block.commands())
        for number, (command, shown) in enumerate(commands):
            if block.terminal is not None:
                self._in_terminal(block, block.terminal, command, shown)
                continue
            found = self._started(command, None)
            try:
                output, _ = found.communicate(timeout=PATIENCE_S)
            finally:
                _kill(found)
            wanted = block.exit_code if number == len(commands) - 1 else 0
            assert found.returncode == wanted, f"{block}: {command} ended with {found.returncode}:\n{output.decode()}"
            if shown:
                self._compare(block, shown, output.decode())

    def _in_terminal(self, block: Block, name: str, command: str, shown: list[str]) -> None:
        if command in KEYS:
            process, path = self._terminals[name]
            before = len(path.read_text().splitlines())
            process.send_signal(KEYS[command])
            process.wait(PATIENCE_S)
            self._compare(block, shown, "\n".join(path.read_text().splitlines()[before:]))
            return
        assert name not in self._terminals or self._terminals[name][0].poll() is not None, f"{block}: it is in use"
        path = self._folder.parent / f"{name}.txt"
        with path.open("wb") as file:
            process = self._started(command, file.fileno())
        self._terminals[name] = process, path
        self._await(block, process, path, shown)

    def _await(self, block: Block, process: subprocess.Popen[bytes], path: Path, shown: list[str]) -> None:
        """Wait until a command that stays has written what the page shows."""
        deadline = time.monotonic() + PATIENCE_S
        while (problem := unlike(shown, path.read_text().splitlines(), self._ids, whole=False)) is not None:
            assert time.monotonic() < deadline, f"{block}: {problem}"
            assert process.poll() is None, f"{block}: it has ended; {problem}"
            time.sleep(LOOK_EVERY_S)

    def _started(self, command: str, output: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", f"exec {self._ids.in_command(command)}" if output else self._ids.in_command(command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
        )

    def _compare(self, block: Block, shown: list[str], output: str) -> None:
        problem = unlike(shown, output.splitlines(), self._ids)
        assert problem is None, f"{block}: {problem}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running of a command that does not end, whatever it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
