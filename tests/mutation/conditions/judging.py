"""Playing the tests while a condition is left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum

from attrs import frozen

from ..tree import ROOT
from .left_out import LEFT_OUT
from .reading import Condition

PLUGIN = "tests.mutation.conditions.left_out"

JUDGES = (
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "contract").glob("test_*.py")),
    "tests/contract/behaviours",
    "tests/unit/adapters/postgres",
)
"""Those first that look at the store alone: they are quick, and say what is wrong."""

POSTGRES = {"FAIRLEAD_ADAPTERS": "postgres=tests.support.postgres_subject:adapter"}

TIMEOUT_S = 1_200.0
"""Far longer than all judges take: where they take so long, one hangs, and has noticed."""

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Fate(StrEnum):
    """What came of a condition that was left out."""

    NOTICED = "noticed"
    UNNOTICED = "unnoticed"


@frozen
class Verdict:
    """What the judges say."""

    condition: Condition
    fate: Fate
    by: str = ""
    """The test that failed."""


def judge(condition: Condition, judges: Sequence[str] = JUDGES) -> Verdict:
    """Play until a test fails.

    Args:
        condition: what is left out.
        judges: the tests.

    Raises:
        RuntimeError: pytest could not play them.
    """
    try:
        played = _play(judges, {**POSTGRES, LEFT_OUT: condition.place})
    except subprocess.TimeoutExpired:
        return Verdict(condition, Fate.NOTICED, "a test that does not end")
    if played.returncode == 0:
        return Verdict(condition, Fate.UNNOTICED)
    found = _FAILED.search(played.stdout)
    if found is None:
        raise RuntimeError(f"pytest ended with {played.returncode}:\n{played.stdout[-2_000:]}{played.stderr[-2_000:]}")
    return Verdict(condition, Fate.NOTICED, found[1])


def check_judges() -> None:
    """Play them while everything is as it should be.

    Raises:
        RuntimeError: one fails.
    """
    played = _play(JUDGES, POSTGRES)
    if played.returncode != 0:
        raise RuntimeError(f"tests fail although nothing is left out:\n{played.stdout[-2_000:]}")


def _play(judges: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    options = ["-q", "-x", "--tb=no", "-rfE", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", PLUGIN]
    command = [sys.executable, "-m", "pytest", *options, *judges]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # of who plays this
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
