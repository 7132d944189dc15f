"""Attempts that end as nobody expects: hostile classes, blocked loops, no thread to run in. No slot is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import attrs
import pytest

from fairlead.hosts import outcomes
from fairlead.hosts.node import NodeHost
from fairlead.hosts.payloads import Payloads
from fairlead.kernel import Context, Flow, Kernel, RetryAfter, RunHandle
from fairlead.kernel.failures import decode_failure
from fairlead.ports.statuses import RunStatus

from .conftest import MakeKernel

TIMEOUT_S = 10.0
RUNS = 5
"""More than the hosts here have slots."""


async def _reasons(run: RunHandle) -> list[str]:
    return [attempt.reason for attempt in (await run.details()).attempts]


def _meeting(parties: int) -> Flow[int]:
    """A flow whose tasks end once so many of them run at a time."""
    barrier = asyncio.Barrier(parties)
    flow = Flow("meeting", version=1, input=int)

    @flow.step
    async def meet() -> None:
        await barrier.wait()

    return flow


async def _use_every_slot(kernel: Kernel, slots: int) -> None:
    """Fails where a host that has so many slots cannot fill them all."""
    for run in [await kernel.start("meeting", 1) for _ in range(slots)]:
        await run.result(timeout=TIMEOUT_S)


class Panic(BaseException):
    """What nobody expects."""


@pytest.mark.parametrize("kind", [Panic, asyncio.CancelledError, SystemExit, KeyboardInterrupt])
async def test_whatever_making_an_input_raises_is_a_failed_attempt(
    make_kernel: MakeKernel, kind: type[BaseException]
) -> None:
    """It does not end the loop that claimed the task: the host goes on with other runs."""
    armed = False

    @attrs.frozen
    class Input:
        wild: bool

        def __attrs_post_init__(self) -> None:
            if self.wild and armed:
                raise kind("boom")

    flow = Flow("wild", version=1, input=Input, max_attempts=2, base_delay=0)

    @flow.step
    async def work(input: Input) -> bool:
        return input.wild

    kernel = make_kernel(flow)
    runs = [await kernel.start(flow, Input(True)) for _ in range(RUNS)]
    armed = True
    async with NodeHost(kernel, concurrency=2):
        records = [await run.wait(timeout=TIMEOUT_S) for run in runs]
        tame = await kernel.start(flow, Input(False))
        assert await tame.result(timeout=TIMEOUT_S) == {"work": False}

    assert {(record.status, record.reason) for record in records} == {(RunStatus.FAILED, "handler_failed")}
    assert await _reasons(runs[0]) == ["handler_failed"] * 2


class NoDelay(RetryAfter):
    """Forgets to call its parent."""

    def __init__(self) -> None:
        pass


class OddDelay(RetryAfter):
    """Sets its delay to what no calendar holds."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s


class _Hostile(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise ValueError("no answer")


class Unclear(Exception, metaclass=_Hostile):
    """Nothing can be compared with it."""


class Untraceable(Exception):
    """An exception that does not say where it was raised."""

    @property
    def __traceback__(self) -> TracebackType | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        raise RuntimeError("no traceback")


@pytest.mark.fault(55)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_an_exception_without_a_traceback_is_recorded(make_kernel: MakeKernel, threaded: bool) -> None:
    """With its type and text; where it was raised is not said, and why."""
    flow = Flow("wild", version=1, input=int, max_attempts=1)

    def fail() -> int:
        raise Untraceable("boom")

    async def fail_async() -> int:
        raise Untraceable("boom")

    flow.step(fail if threaded else fail_async, slug="work")
    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, 1)
        record = await run.wait(timeout=TIMEOUT_S)

    assert (record.reason, record.error is not None) == ("handler_failed", True)
    failure = decode_failure(record.error or b"")
    assert (failure.type.rpartition(".")[2], failure.message) == ("Untraceable", "boom")
    assert failure.traceback == "<the traceback could not be made: RuntimeError>"


@pytest.mark.fault(74)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
@pytest.mark.parametrize(
    "error",
    [NoDelay, lambda: OddDelay(float("inf")), lambda: OddDelay(1e300), lambda: OddDelay(-1), lambda: LookupError("x")],
    ids=["no-delay", "infinite", "huge", "negative", "hostile-class"],
)
async def test_an_exception_that_makes_no_sense_is_retried_as_its_step_says(
    make_kernel: MakeKernel, error: Callable[[], Exception], threaded: bool
) -> None:
    """No attempt is left without an outcome, and no slot is used up: more runs end than the host has slots."""
    flow = Flow("wild", version=1, input=int, max_attempts=2, base_delay=0)

    def fail() -> int:
        raise error()

    async def fail_async() -> int:
        raise error()

    flow.step(fail if threaded else fail_async, slug="work", non_retryable=[Unclear])
    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=2):
        runs = [await kernel.start(flow, 1) for _ in range(RUNS)]
        records = [await run.wait(timeout=TIMEOUT_S) for run in runs]

    assert {record.reason for record in records} == {"handler_failed"}
    assert await _reasons(runs[0]) == ["handler_failed"] * 2


@pytest.mark.fault(55)
async def test_a_failure_that_cannot_be_described_is_recorded_all_the_same(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where describing it fails, by lack of memory say, the record says so."""

    def describe(error: BaseException, *, attempt: int) -> bytes:
        raise MemoryError

    monkeypatch.setattr(outcomes, "failure_of", describe)
    flow = Flow("wild", version=1, input=int, max_attempts=1)

    @flow.step
    async def work() -> int:
        raise ValueError("x")

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        record = await (await kernel.start(flow, 1)).wait(timeout=TIMEOUT_S)

    assert record.error is not None
    assert decode_failure(record.error).type == "Indescribable"


@pytest.mark.fault(71)
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_a_timeout_holds_for_a_handler_that_blocks_the_loop(
    make_kernel: MakeKernel, threaded: bool, raises: bool
) -> None:
    """Nobody could stop it, or a thread while the loop was blocked, but what comes after its time is not taken."""
    loop = asyncio.get_running_loop()
    blocked = threading.Event()
    flow = Flow("blocking", version=1, input=int, base_delay=0)

    def block_loop() -> None:
        blocked.set()
        time.sleep(0.6)

    def overrun(attempt: int) -> int:
        if attempt == 1:
            time.sleep(0.3)
            if raises:
                raise ValueError("late")
        return attempt

    def work(ctx: Context) -> int:
        if ctx.attempt == 1:
            loop.call_soon_threadsafe(block_loop)
            blocked.wait(TIMEOUT_S)
        return overrun(ctx.attempt)

    async def work_async(ctx: Context) -> int:
        return overrun(ctx.attempt)

    flow.step(work if threaded else work_async, slug="work", timeout=0.15)
    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, 1)
        assert await run.result(timeout=TIMEOUT_S) == {"work": 2}

    assert await _reasons(run) == ["timed_out"]


def _limit_threads(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Let the hosts of this process have only so many threads for handlers."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("fairlead-") and "heartbeats" not in thread.name:
            handlers = [each for each in threading.enumerate() if each.name.startswith("fairlead-few")]
            if len(handlers) >= limit:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


async def test_handlers_wait_for_threads_where_there_are_too_few(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With twelve slots and two threads every task runs once, two at a time, and every slot comes back."""
    _limit_threads(monkeypatch, 2)
    lock, running, most = threading.Lock(), 0, 0
    flow = Flow("few", version=1, input=list[int], input_name="numbers")

    @flow.map(over="numbers")
    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1
        return item

    kernel = make_kernel(flow, _meeting(12))
    async with NodeHost(kernel, concurrency=12, worker="few"):
        run = await kernel.start(flow, list(range(30)))
        assert await run.result(timeout=TIMEOUT_S) == {"work": list(range(30))}
        await _use_every_slot(kernel, 12)

    assert most == 2
    assert {task.attempts for task in (await run.details()).tasks} == {1}


async def test_without_any_thread_an_attempt_fails_and_may_be_tried_again(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the host's failure, and it costs no slot."""
    flow = Flow("few", version=1, input=int, max_attempts=2, base_delay=0)

    @flow.step
    def work() -> int:
        return 1

    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=2, worker="few"):
        with monkeypatch.context() as patched:
            _limit_threads(patched, 0)
            runs = [await kernel.start(flow, 1) for _ in range(RUNS)]
            records = [await run.wait(timeout=TIMEOUT_S) for run in runs]
        assert await (await kernel.start(flow, 1)).result(timeout=TIMEOUT_S) == {"work": 1}

    assert {record.reason for record in records} == {"host_failed"}
    assert await _reasons(runs[0]) == ["host_failed"] * 2


async def test_a_task_that_cannot_be_begun_does_not_keep_others_from_it(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt fails; those that were claimed with it run, and its slot is free again."""
    found = Payloads.find

    def find(self: Payloads, task: Any, executable: Any) -> Any:
        if task.key.element == 1 and task.attempt == 1:
            raise LookupError("cannot be found")
        return found(self, task, executable)

    monkeypatch.setattr(Payloads, "find", find)
    flow = Flow("map", version=1, input=list[int], input_name="numbers", base_delay=0)

    @flow.map(over="numbers")
    async def work(item: int) -> int:
        return item

    kernel = make_kernel(flow, _meeting(3))
    async with NodeHost(kernel, concurrency=3):
        run = await kernel.start(flow, list(range(9)))
        assert await run.result(timeout=TIMEOUT_S) == {"work": list(range(9))}
        await _use_every_slot(kernel, 3)

    assert await _reasons(run) == ["host_failed"]
