"""What a sink has of a run's events: all, in order, with gaps only where it was told of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...ports.outbox import EventRecord

LOST = "event.lost"
"""The type of what a sink is told in the place of an event that it never accepted."""


def wrongly_delivered(events: Iterable[EventRecord], count: int) -> Iterator[str]:
    """What is wrong with what a sink was given of one run, when nothing is left to deliver.

    What was announced as lost comes late, when somebody has it replayed; everything else comes in order.

    Args:
        events: in the order of their arrival, repetitions included.
        count: how many the run has.
    """
    arrived: list[str] = []
    had, announced, last = set[int](), set[int](), 0
    for event in events:
        number, lost = event.sequence, event.type == LOST
        if number not in had and number not in announced:
            arrived.append(f"{number} as lost" if lost else str(number))
            if number != last + 1:
                yield f"I20: event {number} has come after event {last}: {', '.join(arrived)}"
            last = max(last, number)
        (announced if lost else had).add(number)
    if missing := [number for number in range(1, count + 1) if number not in had]:
        yield f"P5: the sink lacks the events {missing} of {count}; it has got {', '.join(arrived)}"
    if unknown := had - {*range(1, count + 1)}:
        yield f"I19: the sink has got the events {sorted(unknown)}, and the run has {count}"
