"""The sinks that need no technology."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fairlead.adapters.sinks import CallableSink, LoggingSink
from fairlead.ports.outbox import EventRecord
from tests.support.records import at, run_id

BATCH = [
    EventRecord(
        run_id=run_id(1), flow="orders", generation=1, sequence=number, type=kind, step=step, at=at(number), data=b"{}"
    )
    for number, kind, step in ((1, "run.created", None), (2, "step.started", "pack"))
]


async def test_events_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line each, at the level asked for; the event is on the record."""
    with caplog.at_level(logging.DEBUG, "mine"):
        accepted = await LoggingSink(logging.getLogger("mine"), level=logging.DEBUG).publish(BATCH)

    assert accepted == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"1 run.created: orders, run {run_id(1)}",
        f"2 step.started of step pack: orders, run {run_id(1)}",
    ]
    assert [vars(record)["event"] for record in caplog.records] == BATCH
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


@pytest.mark.parametrize(("returned", "accepted"), [(None, 2), (1, 1), (0, 0)])
async def test_a_function_says_how_many_it_accepted(returned: object, accepted: int) -> None:
    """None is all of them; async or plain, which runs in a thread."""
    threads: list[str] = []

    def plain(batch: Sequence[EventRecord]) -> object:
        threads.append(threading.current_thread().name)
        assert batch == BATCH
        return returned

    async def asynchronous(batch: Sequence[EventRecord]) -> object:
        return plain(batch)

    functions: tuple[Callable[[Sequence[EventRecord]], Any], ...] = (plain, asynchronous)
    assert [await CallableSink(function).publish(BATCH) for function in functions] == [accepted, accepted]
    assert threads[0] != threads[1] == threading.current_thread().name


@pytest.mark.parametrize("returned", [True, "two", 1.5])
async def test_another_answer_is_an_error(returned: object) -> None:
    """The message shows it."""
    with pytest.raises(TypeError, match="not how many events"):
        await CallableSink(lambda batch: returned).publish(BATCH)
