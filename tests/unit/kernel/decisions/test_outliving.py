"""Outliving: for how long what was seen of young runs spares a look at them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from fairlead.kernel.decisions.outliving import LOOK_AGAIN, Looked, decode_looked, encode_looked, first_look
from fairlead.ports.reading import RunCursor
from tests.support.records import START, at, run_id

MOMENT = timedelta(microseconds=1)
PLACE = RunCursor(START, run_id(9))


@pytest.mark.parametrize(
    ("ended_before", "now", "serves"),
    [
        (at(10), at(20), True),
        (at(10) + MOMENT, at(20), False),  # one may have ended in between
        (at(10), START, True),
        (at(10), START - MOMENT, False),  # the clock was ahead when it was looked at
        (at(10), START + LOOK_AGAIN - MOMENT, True),
        (at(10), START + LOOK_AGAIN, False),
    ],
)
def test_what_was_seen_serves_for_earlier_ends_and_for_a_day(
    ended_before: datetime, now: datetime, serves: bool
) -> None:
    """At each end of both times."""
    looked = Looked(begun_at=START, nothing_before=at(10), place=PLACE)

    assert looked.serves(ended_before, now) is serves


def test_the_first_end_that_was_seen_counts() -> None:
    """Runs that go on end later than the look; the place goes on with what is looked at."""
    look = first_look(START)

    assert look.further(PLACE, None) == Looked(begun_at=START, nothing_before=START, place=PLACE)
    assert look.further(PLACE, at(5)).nothing_before == START
    assert look.further(PLACE, at(-5)).further(PLACE, at(-3)).nothing_before == at(-5)


def test_what_is_known_is_kept() -> None:
    """Between processes."""
    looked = first_look(START).further(PLACE, at(-5))

    assert decode_looked(encode_looked(looked)) == looked
