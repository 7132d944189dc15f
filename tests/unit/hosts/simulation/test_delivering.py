"""What a sink has of one run's events: each kind of wrong delivery is found, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fairlead.hosts.simulation.delivering import LOST, wrongly_delivered
from fairlead.ports.outbox import EventRecord

AT = datetime(2026, 1, 1, tzinfo=UTC)


def _events(*numbers: int) -> list[EventRecord]:
    """Events by their numbers; below 0 stands for the announcement that one is lost."""
    return [
        EventRecord(
            run_id="run",
            flow="flow",
            generation=1,
            sequence=abs(number),
            type=LOST if number < 0 else "step.completed",
            step=None,
            at=AT,
            data=b"{}",
        )
        for number in numbers
    ]


@pytest.mark.parametrize(
    "numbers",
    [(1, 2, 3), (1, 2, 1, 2, 3, 3), (1, -2, 3, 2), (1, -2, -2, 3, 2, 2), (1, -2, 2, 3), (-1, -2, -3, 3, 1, 2)],
)
def test_all_of_it_in_order_but_for_what_was_announced(numbers: tuple[int, ...]) -> None:
    """Repetitions do no harm, and what was lost comes late."""
    assert list(wrongly_delivered(_events(*numbers), 3)) == []


@pytest.mark.parametrize(
    ("numbers", "name"),
    [((1, 3, 2), "I20"), ((1, 2), "P5"), ((1, -2, 3), "P5"), ((1, 2, 3, 4), "I19"), ((2, 1, 3), "I20"), ((), "P5")],
)
def test_what_is_wrong_is_named(numbers: tuple[int, ...], name: str) -> None:
    """A gap that nobody was told of, an event that never came, and one that nobody has."""
    assert name in {problem.partition(":")[0] for problem in wrongly_delivered(_events(*numbers), 3)}
