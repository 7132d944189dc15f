"""A short campaign in every run of the tests; `make chaos` is the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SECONDS = 40
"""How long harm is done: some thirty kills, three restarts and five zombies, where the machine is not too busy."""

SEED = 5
PATIENCE_S = 900.0
"""For a machine that is very busy: a bound, and no measure."""


def test_a_short_campaign_breaks_no_promise() -> None:
    """Workers are killed and stopped, the database restarts, answers to commits are lost: nothing else is."""
    given = ["--minutes", str(SECONDS / 60), "--seed", str(SEED)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *given],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    print(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert figure("violations", done.stdout) == 0
    for harm in (
        "worker kills",
        "graceful stops",
        "zombies",
        "database restarts",
        "lost COMMIT answers",
        "transactions",
    ):
        assert figure(harm, done.stdout) >= 1, done.stdout


def figure(name: str, table: str) -> int:
    """A figure of the closing table."""
    found = re.search(rf"^  {name} +([\d,]+)", table, re.MULTILINE)
    assert found is not None, f"the table has no {name}: {table}"
    return int(found[1].replace(",", ""))
