"""Code of others is called within a time, and what hangs costs one thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from fairlead.adapters.calling import PatientCaller

SOON_S = 0.05
LONG_S = 30.0


@pytest.fixture
async def nothing_left() -> AsyncGenerator[None]:
    """No task and no thread is left after a test."""
    threads, tasks = threading.active_count(), asyncio.all_tasks()
    yield

    assert asyncio.all_tasks() - tasks - {asyncio.current_task()} == set()
    assert threading.active_count() == threads


async def test_async_functions_run_in_the_loop_and_plain_ones_in_a_thread(nothing_left: None) -> None:
    """Methods, partials and callable objects like functions."""

    class Callable_:
        async def __call__(self) -> str:
            return threading.current_thread().name

        def method(self) -> str:
            return threading.current_thread().name

    caller, here = PatientCaller(), threading.current_thread().name

    async def where(prefix: str) -> str:
        return prefix + threading.current_thread().name

    assert await caller.call(where, "in ", timeout_s=LONG_S) == f"in {here}"
    assert await caller.call(partial(where, "in "), timeout_s=LONG_S) == f"in {here}"
    assert await caller.call(Callable_(), timeout_s=LONG_S) == here
    assert await caller.call(Callable_().method, timeout_s=LONG_S) != here
    assert await caller.call(lambda: where("in "), timeout_s=LONG_S) == f"in {here}"


async def test_what_a_function_raises_comes_out(nothing_left: None) -> None:
    """From the loop as from a thread; what would end the process is an error like any other."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def leaves() -> None:
        sys.exit(3)

    def fails() -> None:
        raise LookupError("no")

    caller = PatientCaller()
    with pytest.raises(LookupError, match="no"):
        await caller.call(fails, timeout_s=LONG_S)
    for function, said in ((cancelled, "CancelledError"), (leaves, "SystemExit"), (sys.exit, "SystemExit")):
        with pytest.raises(RuntimeError, match=said):
            await caller.call(function, timeout_s=LONG_S)


async def test_a_coroutine_that_hangs_is_cancelled(nothing_left: None) -> None:
    """Afterwards the next call goes through."""
    ended = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def answers() -> int:
        return 1

    caller = PatientCaller()
    with pytest.raises(TimeoutError, match=r"longer than 0\.05 s"):
        await caller.call(hangs, timeout_s=SOON_S)

    assert ended.is_set()
    assert await caller.call(answers, timeout_s=LONG_S) == 1


@pytest.mark.fault(75)
async def test_while_a_thread_hangs_no_other_is_begun(nothing_left: None) -> None:
    """It cannot be stopped, so it is the only one; other callers do not notice."""
    goes_on = threading.Event()
    caller = PatientCaller()
    with pytest.raises(TimeoutError, match="longer"):
        await caller.call(goes_on.wait, timeout_s=SOON_S)
    threads = threading.active_count()

    for _ in range(5):
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError, match="an earlier call"):
            await caller.call(goes_on.wait, timeout_s=SOON_S)
    assert threading.active_count() == threads
    assert await PatientCaller().call(lambda: 1, timeout_s=LONG_S) == 1

    goes_on.set()
    while threading.active_count() >= threads:  # noqa: ASYNC110 - a thread has no event for its own end
        await asyncio.sleep(0)
    assert await caller.call(lambda: 1, timeout_s=LONG_S) == 1


async def test_a_caller_that_is_cancelled_cancels_what_it_called(nothing_left: None) -> None:
    """As when a host ends."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hangs() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    calling = asyncio.ensure_future(PatientCaller().call(hangs, timeout_s=LONG_S))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await ended.wait()
