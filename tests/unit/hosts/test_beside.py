"""Duties beside the event loop: begun again where their thread cannot go on, and ended whatever they hang on."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.hosts.beside import ThreadBeside
from tests.support.waiting import until

NAME = "fairlead-heartbeats-tested"


class Dutiful:
    """A duty that is done until it is told to stop."""

    def __init__(self) -> None:
        self.done = threading.Event()

    async def run(self, stop: asyncio.Event) -> None:
        self.done.set()
        await stop.wait()


class Hanging:
    """A duty whose store never answers, whoever tells it to stop."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended: list[str] = []

    async def run(self, stop: asyncio.Event) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended.append("cut off")
            raise


@pytest.mark.fault(26)
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_duty_that_hangs_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    """After the time that it has for its end; the host waits no longer, the log says so, and its thread is gone."""
    caplog.set_level(logging.WARNING)
    hanging = Hanging()
    beside = ThreadBeside([hanging], name=NAME, stop_s=0.05)
    beside.start()
    await until(hanging.begun.is_set)

    async with asyncio.timeout(10):
        await beside.stop()

    assert hanging.ended == ["cut off"]
    assert [record.message for record in caplog.records] == ["the last heartbeat was cut off"]


@pytest.mark.fault(76)
@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_thread_without_an_event_loop_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No file descriptor was left for one: the host starts nevertheless, and its duties begin as soon as there is."""
    made: Callable[[], Any] = asyncio.events.new_event_loop
    refused: list[str] = []

    def new_event_loop() -> Any:
        if len(refused) < 2:
            refused.append(threading.current_thread().name)
            raise OSError(errno.EMFILE, "Too many open files")
        return made()

    monkeypatch.setattr(asyncio.events, "new_event_loop", new_event_loop)
    dutiful = Dutiful()
    beside = ThreadBeside([dutiful], name=NAME)
    beside.start()
    await until(dutiful.done.is_set)
    await beside.stop()
    gc.collect()

    assert refused == [NAME] * 2
    said = [record.message for record in caplog.records if record.exc_info]
    assert said == ["heartbeats have ended although their host goes on, and are begun again"] * 2
