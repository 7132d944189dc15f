"""No mark is out of reach: worlds reach what goes wrong all the time, and tests of their own the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest

from tests.marks.playing import play_watched
from tests.marks.plugin import FILE
from tests.marks.proofs import OFTEN, PROOFS, SELDOM
from tests.marks.register import ROOT, all_marks

SEEDS_MAX = 400
"""Worlds until every mark that they reach often has to be reached; a tenth of that is enough as a rule."""


def test_worlds_reach_what_goes_wrong_all_the_time() -> None:
    """Random flows, clients, machines and faults, and port calls that are struck, whichever seeds those are."""
    missing = {mark.what: mark for mark in all_marks() if mark.what in OFTEN}
    with closing(play_watched(range(SEEDS_MAX))) as worlds:
        while missing and (played := next(worlds, None)) is not None:
            for what in (*played.by_world, *played.by_strikes):
                missing.pop(what, None)

    assert [str(mark) for mark in missing.values()] == []


def test_tests_of_their_own_reach_the_rest(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The test that a mark names as its proof does reach its branch."""
    file = tmp_path_factory.mktemp("marks") / "reached.json"
    tests = list(dict.fromkeys(PROOFS.values()))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "tests.marks.plugin", *tests]
    # Databases are named after workers of xdist: this one is none of those that run now.
    alone = {**os.environ, "PYTEST_XDIST_WORKER": "marks", FILE: str(file)}
    played = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    reached: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8"))

    assert played.returncode == 0, played.stdout
    assert [f"{what}: {test}" for what, test in PROOFS.items() if test not in reached.get(what, ())] == []


def test_every_mark_says_by_what_it_is_reached() -> None:
    """And nothing is proven that has no mark any more."""
    told = Counter((*OFTEN, *SELDOM, *PROOFS))

    assert told == Counter(mark.what for mark in all_marks())
