"""Runs the installed command `fairlead` in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from attrs import frozen

PROGRAM = Path(sys.executable).with_name("fairlead")

PATIENCE_S = 100.0
"""After this time a command hangs, whatever the machine is busy with."""


@frozen
class Commands:
    """Runs `fairlead` in a folder and an environment of the test's own."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]]

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end; a traceback anywhere is a failure of the test."""
        found = subprocess.run(
            [PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=PATIENCE_S,
            check=False,
        )

        assert "Traceback" not in found.stderr, found.stderr
        return found

    def ok(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run a command that must succeed; what it wrote to stdout."""
        found = self(*arguments, stdin=stdin)

        assert found.returncode == 0, (found.args, found.stdout, found.stderr)
        return found.stdout

    def begin(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command in a session of its own; `end` kills it if it still runs."""
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kill what was begun and still runs."""
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
