"""No mark is out of reach: worlds reach what goes wrong all the time, and tests of their own the rest."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

from tests.marks.playing import play_watched
from tests.marks.proofs import OFTEN, PROOFS, SELDOM
from tests.marks.proving import play_proofs
from tests.marks.register import all_marks

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


def test_tests_of_their_own_reach_the_rest() -> None:
    """The test that a mark names as its proof does reach its branch, and passes."""
    proven = play_proofs()

    assert proven.failed is None, proven.failed
    assert [f"{what}: {test}" for what, test in PROOFS.items() if what not in proven.reached] == []


def test_every_mark_says_by_what_it_is_reached() -> None:
    """And nothing is proven that has no mark any more."""
    told = Counter((*OFTEN, *SELDOM, *PROOFS))

    assert told == Counter(mark.what for mark in all_marks())
