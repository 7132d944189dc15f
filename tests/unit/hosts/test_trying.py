"""Work with the store on behalf of an attempt ends with the attempt."""

from __future__ import annotations

import asyncio
import threading
from random import Random

import pytest

from fairlead.hosts.backoff import Backoff
from fairlead.hosts.errands import Errands
from fairlead.hosts.errors import StreamInLoop
from fairlead.hosts.threads import HandlerThreads
from fairlead.hosts.trying import Abandoned, call_in_loop, try_on
from fairlead.ports.errors import AdapterError, Unavailable


class Attempt:
    """An attempt that is over when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.over = False
        self.errands = Errands()
        self.threads = HandlerThreads("test")

    def new_backoff(self) -> Backoff:
        return Backoff(Random(1), first_s=0.001)


class Operation:
    """Fails as often as it is told to."""

    def __init__(self, *errors: AdapterError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


async def test_it_is_tried_until_it_works() -> None:
    """However often that is; the log tells of the first failure alone."""
    operation = Operation(*[Unavailable("503")] * 5)

    assert await try_on(Attempt(asyncio.get_running_loop()), "write", operation) == 6


async def test_what_cannot_be_helped_is_raised() -> None:
    """A store that refuses for good is not asked again."""
    operation = Operation(AdapterError("403"))

    with pytest.raises(AdapterError, match="403"):
        await try_on(Attempt(asyncio.get_running_loop()), "write", operation)
    assert operation.calls == 1


async def test_an_attempt_that_is_over_is_not_worked_for() -> None:
    """One that was stopped gets one try; what fails is given up, and what works is done."""
    attempt = Attempt(asyncio.get_running_loop())
    attempt.over = True
    failing = Operation(Unavailable("503"))

    with pytest.raises(Abandoned, match="cannot write"):
        await try_on(attempt, "write", failing)
    assert await try_on(attempt, "write", failing) == 2


async def test_a_thread_waits_for_the_loop() -> None:
    """It gets the result or the error; once its attempt is over, nothing is done for it."""
    attempt = Attempt(asyncio.get_running_loop())
    threads = asyncio.to_thread
    assert await threads(call_in_loop, attempt, Operation()) == 1
    with pytest.raises(AdapterError, match="403"):
        await threads(call_in_loop, attempt, Operation(AdapterError("403")))
    attempt.over = True
    with pytest.raises(Abandoned, match="the attempt is over"):
        await threads(call_in_loop, attempt, Operation())


@pytest.mark.parametrize("end", ["host", "loop"])
async def test_a_thread_that_waits_while_its_host_ends_is_told(end: str) -> None:
    """Whether the host cancels what it does, or the event loop is torn down with all its tasks."""
    attempt = Attempt(asyncio.get_running_loop())
    waiting, never = asyncio.Event(), asyncio.get_running_loop().create_future()
    errands: list[asyncio.Task[object] | None] = []

    async def operation() -> int:
        errands.append(asyncio.current_task())
        waiting.set()
        await never
        return 1

    thread = asyncio.create_task(asyncio.to_thread(call_in_loop, attempt, operation))
    await waiting.wait()
    if end == "host":
        await attempt.errands.close()
    else:
        for errand in errands:
            assert errand is not None
            errand.cancel()

    with pytest.raises(Abandoned, match="the host has ended"):
        await thread


def test_a_thread_that_outlives_its_host_is_told() -> None:
    """Its loop is closed: there is nobody to read for it."""
    loop = asyncio.new_event_loop()
    loop.close()
    found: list[BaseException] = []

    def work() -> None:
        try:
            call_in_loop(Attempt(loop), Operation())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [type(each) for each in found] == [Abandoned]


async def test_the_loop_does_not_wait_for_itself() -> None:
    """A handler that hands its stream to the host's loop is told, instead of holding up the host for ever."""
    attempt = Attempt(asyncio.get_running_loop())

    with pytest.raises(StreamInLoop, match="take an AsyncIterable"):
        call_in_loop(attempt, Operation())
