"""How attempts end: whatever a handler does is recorded, and never ends its host."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, GiveUp, Kernel, RetryAfter, RunHandle
from fairlead.kernel.failures import decode_failure
from fairlead.ports.statuses import RunStatus
from tests.support.waiting import until

from .conftest import MakeKernel

TIMEOUT_S = 10.0


async def _end(kernel: Kernel, flow: Flow[Any], input: object = 1, **options: Any) -> RunHandle:
    """Run a flow to its end, well or not."""
    async with NodeHost(kernel, **options):
        run = await kernel.start(flow, input)
        await run.wait(timeout=TIMEOUT_S)
    return run


async def _attempts(run: RunHandle) -> list[tuple[int, str, str]]:
    """Number, reason and error type of every attempt that did not complete."""
    found: list[tuple[int, str, str]] = []
    for attempt in (await run.details()).attempts:
        assert attempt.error is not None
        found.append((attempt.attempt, attempt.reason, decode_failure(attempt.error).type))
    return found


class Broken(Exception):
    """Cannot even be shown."""

    def __str__(self) -> str:
        raise ValueError("no text")


def _raise(error: BaseException) -> None:
    raise error


def _recurse() -> None:
    _recurse()


@pytest.mark.fault(74)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
@pytest.mark.parametrize(
    ("misbehave", "type_name"),
    [
        (lambda: _raise(ValueError("bad\0luck" * 100_000)), "ValueError"),
        (lambda: _raise(asyncio.CancelledError()), "asyncio.exceptions.CancelledError"),
        (lambda: sys.exit(3), "SystemExit"),
        (lambda: _raise(KeyboardInterrupt()), "KeyboardInterrupt"),
        (lambda: _raise(GeneratorExit()), "GeneratorExit"),
        (lambda: _raise(Broken()), "Broken"),
        (_recurse, "RecursionError"),
    ],
    ids=["error", "own-cancel", "exit", "interrupt", "generator-exit", "no-text", "recursion"],
)
async def test_whatever_a_handler_raises_is_a_failed_attempt(
    make_kernel: MakeKernel, misbehave: Callable[[], None], type_name: str, threaded: bool
) -> None:
    """It is tried as often as its step says and recorded each time; the host goes on with other runs."""
    flow = Flow("wild", version=1, input=bool, input_name="wild", max_attempts=2, base_delay=0)

    def tame_or_wild(wild: bool) -> str:
        if wild:
            misbehave()
        return "tame"

    async def tame_or_wild_async(wild: bool) -> str:
        return tame_or_wild(wild)

    flow.step(tame_or_wild if threaded else tame_or_wild_async, slug="work")
    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, True)
        record = await run.wait(timeout=TIMEOUT_S)
        assert await (await kernel.start(flow, False)).result(timeout=TIMEOUT_S) == {"work": "tame"}

    assert (record.status, record.reason) == (RunStatus.FAILED, "handler_failed")
    attempts = await _attempts(run)
    assert [(number, reason) for number, reason, _ in attempts] == [
        (1, "handler_failed"),
        (2, "handler_failed"),
    ]
    assert {name.rpartition(".")[2] for *_, name in attempts} == {type_name.rpartition(".")[2]}


@pytest.mark.parametrize("kind", ["async", "thread", "stream"])
async def test_a_recorded_traceback_begins_with_the_handler(make_kernel: MakeKernel, kind: str) -> None:
    """What the host does to call it tells nobody where it failed."""
    flow = Flow("fall", version=1, max_attempts=1)

    def trip(input: int) -> int:
        raise ValueError("tripped")

    async def stumble(input: int) -> int:
        return trip(input)

    def tumble(input: int) -> Iterator[int]:
        return (trip(each) for each in (input, input))

    flow.step({"async": stumble, "thread": trip, "stream": tumble}[kind], slug="fall")
    run = await _end(make_kernel(flow), flow)

    record = await run.read()
    assert record.error is not None
    traceback = decode_failure(record.error).traceback
    assert traceback is not None
    first = {"async": "in stumble", "thread": "in trip", "stream": "in <genexpr>"}[kind]
    assert traceback.splitlines()[0].endswith(first)
    assert traceback.splitlines()[-1].strip(" ^") == 'raise ValueError("tripped")'


async def test_give_up_and_declared_exceptions_end_at_once(make_kernel: MakeKernel) -> None:
    """`GiveUp` and subclasses of what is declared non-retryable make no further attempt; others do."""
    flow = Flow("final", version=1, input=str, input_name="kind", max_attempts=3, base_delay=0)
    errors = {"give up": GiveUp("enough"), "declared": KeyError("x"), "other": ValueError("y")}

    @flow.step(non_retryable=[LookupError])
    async def work(kind: str) -> None:
        raise errors[kind]

    kernel = make_kernel(flow)
    counts = {kind: len(await _attempts(await _end(kernel, flow, kind))) for kind in errors}

    assert counts == {"give up": 1, "declared": 1, "other": 3}


async def test_retry_after_puts_the_next_attempt_off(make_kernel: MakeKernel) -> None:
    """The delay that the handler asks for replaces the step's own, and the host finds the time by itself."""
    started: list[float] = []
    flow = Flow("later", version=1, input=int, base_delay=3600)

    @flow.step
    async def work(ctx: Context) -> int:
        started.append(time.monotonic())
        if ctx.attempt == 1:
            raise RetryAfter(0.2)
        return ctx.attempt

    run = await _end(make_kernel(flow), flow)

    assert await run.result() == {"work": 2}
    assert 0.2 <= started[1] - started[0] < 2


async def test_an_output_that_does_not_fit_fails_without_retry(make_kernel: MakeKernel) -> None:
    """The error names the path of the offending value; there is one attempt."""
    flow = Flow("misfit", version=1, input=str, input_name="kind", base_delay=0)
    outputs: dict[str, Any] = {"type": {"a": ["x"]}, "json": {"a": [object()]}}

    @flow.step
    async def work(kind: str) -> dict[str, list[int]]:
        output: dict[str, list[int]] = outputs[kind]
        return output

    kernel = make_kernel(flow)
    for kind in outputs:
        run = await _end(kernel, flow, kind)
        record = await run.read()
        assert record.error is not None

        assert (record.reason, [reason for _, reason, _ in await _attempts(run)]) == (
            "invalid_output",
            ["invalid_output"],
        )
        assert "$.a[0]" in decode_failure(record.error).message


async def test_an_input_that_does_not_fit_fails_without_retry(make_kernel: MakeKernel) -> None:
    """A value that its producer may return and its reader cannot take is told so, naming the parameter."""
    flow = Flow("unread", version=1, input=int)

    @flow.step
    async def give() -> Any:
        return {"n": "seven"}

    @flow.step
    async def take(give: dict[str, int]) -> None:
        raise AssertionError("never called")

    run = await _end(make_kernel(flow), flow)
    record = await run.read()
    assert record.error is not None

    assert record.reason == "invalid_input"
    assert "parameter 'give'" in decode_failure(record.error).message
    assert len(await _attempts(run)) == 1


async def test_a_handler_that_takes_too_long_is_cancelled(make_kernel: MakeKernel) -> None:
    """It sees its cancellation, its attempt fails as timed out, and the next attempt may do better."""
    cancelled: list[int] = []
    flow = Flow("slow", version=1, input=int, base_delay=0)

    @flow.step(timeout=0.05)
    async def work(ctx: Context) -> int:
        if ctx.attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(ctx.attempt)
                raise
        return ctx.attempt

    run = await _end(make_kernel(flow), flow)

    assert cancelled == [1]
    assert await run.result() == {"work": 2}
    assert await _attempts(run) == [(1, "timed_out", "StepTimeout")]


async def test_a_result_after_the_timeout_is_discarded(make_kernel: MakeKernel) -> None:
    """A handler that catches its cancellation and returns a value has timed out all the same."""
    flow = Flow("late", version=1, input=int, max_attempts=1)

    @flow.step(timeout=0.05)
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "too late"
        return "never"

    run = await _end(make_kernel(flow), flow)

    assert await _attempts(run) == [(1, "timed_out", "StepTimeout")]
    assert await run.status() is RunStatus.FAILED


def _patient() -> Flow[Any]:
    """One step that may take as long as a busy machine needs: what a test runs after an attempt that has timed out."""
    flow: Flow[Any] = Flow("patient", version=1)

    @flow.step
    def work() -> str:
        return "done"

    return flow


async def test_a_thread_that_takes_too_long_is_abandoned(make_kernel: MakeKernel) -> None:
    """Its attempt fails while it still runs, its late result is discarded, and its slot comes back after a grace."""
    release = threading.Event()
    flow = Flow("stuck", version=1, max_attempts=1)

    @flow.step(timeout=0.05)
    def work() -> str:
        release.wait(TIMEOUT_S)
        return "done"

    kernel = make_kernel(flow, _patient())
    async with NodeHost(kernel, concurrency=1, cancel_grace=0.05):
        run = await kernel.start(flow, None)
        record = await run.wait(timeout=TIMEOUT_S)
        after = await kernel.start("patient", None)
        assert await after.result(timeout=TIMEOUT_S) == {"work": "done"}
        assert not release.is_set()
        release.set()

    assert record.status is RunStatus.FAILED
    assert await _attempts(run) == [(1, "timed_out", "StepTimeout")]


@pytest.mark.fault(73)
async def test_a_handler_that_swallows_its_cancellation_gives_its_slot_up(make_kernel: MakeKernel) -> None:
    """After the grace the attempt is recorded and the only slot runs something else; the handler ends at leisure."""
    release = asyncio.Event()
    flow = Flow("stubborn", version=1, max_attempts=1)

    @flow.step(timeout=0.05)
    async def work() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "done"

    kernel = make_kernel(flow, _patient())
    async with NodeHost(kernel, concurrency=1, cancel_grace=0.05):
        run = await kernel.start(flow, None)
        record = await run.wait(timeout=TIMEOUT_S)
        after = await kernel.start("patient", None)
        assert await after.result(timeout=TIMEOUT_S) == {"work": "done"}
        assert not release.is_set()
        release.set()

    assert record.reason == "timed_out"
    assert await _attempts(run) == [(1, "timed_out", "StepTimeout")]


@pytest.mark.fault(73)
async def test_handlers_that_never_end_do_not_pile_up_without_bound(
    make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    """As many as there are slots are written off; the next ones keep their slots until they end."""
    release = threading.Event()
    begun: list[int] = []
    flow = Flow("leaky", version=1, input=int, input_name="n", max_attempts=1)

    @flow.step(timeout=0.25)  # long enough for a thread to begin on a busy machine
    def work(n: int) -> None:
        begun.append(n)
        release.wait(TIMEOUT_S)

    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=2, cancel_grace=0.02):
        runs = [await kernel.start(flow, n) for n in range(8)]
        for run in runs[:4]:
            await run.wait(timeout=TIMEOUT_S)
        await until(lambda: caplog.text.count("does not end") == 4)  # the grace of all four is over
        for _ in range(1000):  # more turns of the loop than a host without the bound needs to begin another
            await asyncio.sleep(0)
        assert len(begun) == 4
        release.set()
        ended = [await run.wait(timeout=TIMEOUT_S) for run in runs]

    assert [record.reason for record in ended[:4]] == ["timed_out"] * 4
    assert len(begun) > 4


@pytest.mark.fault(72)
async def test_a_handler_may_leave_tasks_behind(make_kernel: MakeKernel) -> None:
    """The outcome is recorded when the handler returns, whatever it started goes on by itself."""
    release = asyncio.Event()
    left: list[asyncio.Task[bool]] = []
    flow = Flow("leaving", version=1, input=int)

    @flow.step
    async def work() -> int:
        left.append(asyncio.create_task(release.wait()))
        return 7

    run = await _end(make_kernel(flow), flow)

    assert await run.result() == {"work": 7}
    assert not left[0].done()
    release.set()
    await left[0]


@pytest.mark.fault(4)
async def test_context_names_the_attempt(make_kernel: MakeKernel) -> None:
    """The context tells run, flow, step, index, attempt, and an idempotency key that a retry does not change."""
    seen: list[tuple[object, ...]] = []
    flow = Flow("known", version=1, input=list[int], input_name="numbers", base_delay=0)

    @flow.map(over="numbers")
    async def work(item: int, ctx: Context) -> None:
        seen.append((ctx.run_id, ctx.flow, ctx.step, ctx.index, ctx.attempt, ctx.idempotency_key))
        if ctx.attempt == 1:
            raise ValueError

    run = await _end(make_kernel(flow), flow, [5, 6])

    assert sorted(seen, key=str) == [
        (run.id, "known", "work", index, attempt, f"{run.id}/work/1/{index}") for index in (0, 1) for attempt in (1, 2)
    ]


async def test_a_failed_attempt_is_told_in_the_log(make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    """One line for each: quietly while there are further attempts, as a warning for the last."""
    flow = Flow("failing", version=1, input=int, max_attempts=2, base_delay=0)

    @flow.step
    async def work() -> None:
        raise ValueError("no stock")

    kernel = make_kernel(flow)
    with caplog.at_level(logging.INFO, logger="fairlead.hosts.worker"):
        await _end(kernel, flow)

    told = [(record.levelname, record.getMessage()) for record in caplog.records if "attempt" in record.getMessage()]
    assert [level for level, _ in told] == ["INFO", "WARNING"]
    assert "attempt 1 of 2 failed (handler_failed): ValueError: no stock" in told[0][1]
    assert told[1][1].endswith("attempt 2 of 2 failed (handler_failed): ValueError: no stock, for good")
