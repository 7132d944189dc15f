"""Playing the tests that are the proofs of marks, and noting which of them reach theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from .plugin import FILE
from .proofs import PROOFS
from .register import ROOT

PATIENCE_S = 900.0
"""For all of them: they take half a minute."""


@frozen(kw_only=True)
class Proven:
    """What came of the proofs."""

    reached: frozenset[str]
    """The marks that are reached by the test that is their proof."""
    failed: str | None
    """What pytest said where a test has failed."""


def play_proofs() -> Proven:
    """Play all proofs, in a process of its own."""
    tests = list(dict.fromkeys(PROOFS.values()))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "tests.marks.plugin", *tests]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "reached.json"
        # Databases are named after workers of xdist: this one is none of those that may be running.
        environment = {**os.environ, "PYTEST_XDIST_WORKER": "marks", FILE: str(file)}
        played = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        reached: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return Proven(
        reached=frozenset(what for what, test in PROOFS.items() if test in reached.get(what, ())),
        failed=f"{played.stdout}\n{played.stderr}" if played.returncode else None,
    )
