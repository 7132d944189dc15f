"""Attempts that end while large payloads are on their way: nothing hangs, nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel
from fairlead.kernel.commands import CancelRun
from fairlead.ports import Ports
from fairlead.ports.errors import AdapterError, Unavailable
from fairlead.ports.statuses import RunStatus
from tests.support.watched_blobs import WatchedBlobs

TIMEOUT_S = 20.0
WORDS = ["x" * 1_000] * 3_000


@pytest.fixture
def blobs(ports: Ports) -> WatchedBlobs:
    """The blobs, under watch."""
    return WatchedBlobs(ports.blobs)


@pytest.fixture
def kernel(ports: Ports, blobs: WatchedBlobs, nothing_left_open: None) -> Callable[..., Kernel]:
    """Makes kernels over them."""
    return lambda *flows: Kernel(flows=flows, ports=evolve(ports, blobs=blobs))


def streaming(hasty: str, timeout_s: float, ended: list[str]) -> Flow[Any]:
    """A stream that is made, and one that is taken, in threads; what ends the handlers is noted.

    Only one of the steps has little time: a busy machine may need more for the other.
    """
    flow = Flow("streaming", version=1, max_attempts=1)

    def timeout(step: str) -> float:
        return timeout_s if step == hasty else TIMEOUT_S

    @flow.step(timeout=timeout("made"))
    def made(ctx: Context) -> Iterable[str]:
        def each() -> Iterator[str]:
            try:
                yield from WORDS
            finally:
                ended.append("made")

        return each()

    @flow.step(timeout=timeout("taken"))
    def taken(made: Iterable[str]) -> int:
        try:
            return sum(map(len, made))
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    return flow


@pytest.mark.parametrize("operation", ["put", "get"])
async def test_a_stream_that_takes_too_long_lets_its_thread_go(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs, operation: str
) -> None:
    """The attempt times out while the store is away; its thread ends at its next question, and is there for others."""
    ended: list[str] = []
    blobs.failing = lambda asked, key: asked == operation
    hasty = "made" if operation == "put" else "taken"
    async with kernel(streaming(hasty, 0.3, ended)) as made, NodeHost(made, concurrency=1, cancel_grace=0.1) as host:
        run = await made.start("streaming", None)
        record = await run.wait(timeout=TIMEOUT_S)

        assert (record.status, record.reason) == (RunStatus.FAILED, "timed_out")
        expected = ["made"] if operation == "put" else ["made", "Abandoned"]
        async with asyncio.timeout(TIMEOUT_S):
            while ended != expected:  # noqa: ASYNC110 - a thread ends when it does
                await asyncio.sleep(0.01)
        assert host is not None


async def test_an_async_stream_that_takes_too_long_is_closed(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs
) -> None:
    """Its generator is closed with it."""
    flow = Flow("looping", version=1, max_attempts=1, timeout=0.3)
    closed: list[str] = []

    @flow.step
    async def made() -> AsyncIterator[str]:
        async def each() -> AsyncIterator[str]:
            try:
                for word in WORDS:
                    yield word
            finally:
                closed.append("made")

        return each()

    blobs.failing = lambda operation, key: operation == "put"
    async with kernel(flow) as made_kernel, NodeHost(made_kernel):
        run = await made_kernel.start("looping", None)
        record = await run.wait(timeout=TIMEOUT_S)

    assert record.reason == "timed_out"
    assert closed == ["made"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_store_that_refuses_an_output_is_the_hosts_trouble(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """The attempt fails for good, since the next one would be refused too; the handler is not blamed."""

    async def refuse(key: str, data: bytes, *, if_absent: bool = True) -> None:
        raise AdapterError("403 Forbidden")

    monkeypatch.setattr(blobs, "put", refuse)
    flow = Flow("refused", version=1, max_attempts=2, base_delay=0)

    def made() -> Iterable[str]:
        return iter(WORDS) if stream else WORDS

    flow.step(made)
    async with kernel(flow) as made_kernel, NodeHost(made_kernel):
        run = await made_kernel.start("refused", None)
        record = await run.wait(timeout=TIMEOUT_S)
        attempts = (await run.details()).attempts

    assert record.reason == "output_not_stored"
    assert [attempt.reason for attempt in attempts] == ["output_not_stored"]
    assert b"OutputNotStored" in (record.error or b"")
    assert b"403 Forbidden" in (record.error or b"")


async def test_an_output_that_is_refused_may_be_tolerated(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a failure like any other: what a flow says of failures applies."""

    async def refuse(key: str, data: bytes, *, if_absent: bool = True) -> None:
        raise AdapterError("403 Forbidden")

    monkeypatch.setattr(blobs, "put", refuse)
    flow = Flow("tolerant", version=1, input=list[int])

    @flow.map(over="input", tolerate_failures="all")
    async def large(item: int) -> str:
        return "x" * (200_000 if item == 1 else 1)

    @flow.step(on_exhausted="skip")
    async def optional() -> list[str]:
        return WORDS

    async with kernel(flow) as made_kernel, NodeHost(made_kernel):
        run = await made_kernel.start(flow, [0, 1, 2])

        assert await run.result(timeout=TIMEOUT_S) == {"large": ["x", None, "x"]}


async def test_a_cancelled_attempt_is_not_written_for(kernel: Callable[..., Kernel], blobs: WatchedBlobs) -> None:
    """What was cancelled is not written any more, and its slot is free."""
    flow = Flow("lost", version=1)

    @flow.step
    async def made() -> list[str]:
        return WORDS

    blobs.failing = lambda operation, key: operation == "put"
    async with kernel(flow) as made_kernel, NodeHost(made_kernel, heartbeat_interval=timedelta(seconds=0.05)):
        run = await made_kernel.start("lost", None)
        await blobs.until_failed()
        await made_kernel.dispatch(CancelRun(run.id))
        await run.wait(timeout=TIMEOUT_S)
        await blobs.until_left_alone()

    assert await blobs.keys() == set()


@pytest.mark.fault(42)
async def test_a_cancelled_attempt_is_not_read_for(kernel: Callable[..., Kernel], blobs: WatchedBlobs) -> None:
    """Its handler is never called, the store is not asked again, and the only slot is there for others."""
    flow = Flow("unread", version=1, input=list[str])
    called: list[int] = []

    @flow.step
    async def work(input: list[str]) -> int:
        called.append(len(input))
        return len(input)

    blobs.failing = lambda operation, key: operation == "get"
    async with (
        kernel(flow) as made_kernel,
        NodeHost(made_kernel, concurrency=1, heartbeat_interval=timedelta(seconds=0.05)),
    ):
        run = await made_kernel.start(flow, WORDS)
        await blobs.until_failed()
        await made_kernel.dispatch(CancelRun(run.id))
        await run.wait(timeout=TIMEOUT_S)
        await blobs.until_left_alone()
        blobs.failing = lambda operation, key: False
        after = await made_kernel.start(flow, ["x"])

        assert await after.result(timeout=TIMEOUT_S) == {"work": 1}
    assert called == [1]


@pytest.mark.fault(42)
async def test_a_store_that_takes_a_cancel_for_a_failure_ends_an_attempt_all_the_same(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As clients do that close a connection which was cut off: nothing is written again, the only slot is free."""
    flow = Flow("lost", version=1, input=int)
    putting, unhandled = asyncio.Event(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    @flow.step
    async def made(input: int) -> str:
        return "x" * input

    async def put(key: str, data: bytes, *, if_absent: bool = True) -> None:
        blobs.puts[key] += 1
        putting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Unavailable("the connection was cut") from None

    monkeypatch.setattr(blobs, "put", put)
    async with (
        kernel(flow) as made_kernel,
        NodeHost(made_kernel, concurrency=1, heartbeat_interval=timedelta(seconds=0.05)),
    ):
        run = await made_kernel.start(flow, 1_000_000)
        async with asyncio.timeout(TIMEOUT_S):
            await putting.wait()
        await made_kernel.dispatch(CancelRun(run.id))
        await run.wait(timeout=TIMEOUT_S)
        after = await made_kernel.start(flow, 1)
        assert await after.result(timeout=TIMEOUT_S) == {"made": "x"}
    gc.collect()

    assert list(blobs.puts.values()) == [1]
    assert unhandled == []


async def test_a_handler_that_swallows_everything_is_not_read_for(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs
) -> None:
    """Being told that its attempt is over is no `Exception`."""
    flow = Flow("stubborn", version=1, max_attempts=1, timeout=0.2)
    swallowed: list[str] = []
    over = threading.Event()

    @flow.step
    def made() -> Iterable[str]:
        return iter(WORDS)

    @flow.step
    def taken(made: Iterable[str]) -> int:
        try:
            try:
                for _ in made:
                    pass
            except Exception as error:
                swallowed.append(type(error).__name__)
            return 1
        finally:
            over.set()

    blobs.failing = lambda operation, key: operation == "get"
    async with kernel(flow) as made_kernel, NodeHost(made_kernel, cancel_grace=0.1):
        run = await made_kernel.start("stubborn", None)
        await run.wait(timeout=TIMEOUT_S)
        async with asyncio.timeout(TIMEOUT_S):
            while not over.is_set():  # noqa: ASYNC110 - a thread ends when it does
                await asyncio.sleep(0.01)

    assert swallowed == []


@pytest.mark.parametrize("handler", ["stream", "list", "reader"])
async def test_nothing_is_done_for_a_thread_that_outlives_its_host(
    kernel: Callable[..., Kernel], blobs: WatchedBlobs, handler: str
) -> None:
    """A host that leaves while the store is away stops asking it, and the thread that waits for it ends at once."""
    flow = Flow("left", version=1, input=list[str])
    before = _handler_threads()
    begun, leaving = threading.Event(), threading.Event()

    @flow.step(slug="made")
    def made(input: Iterable[str]) -> Iterable[str]:
        begun.set()
        if handler == "stream":
            return iter(WORDS)
        if handler == "list":
            assert leaving.wait(TIMEOUT_S)
            return WORDS
        return list(input)

    operation = "get" if handler == "reader" else "put"
    async with kernel(flow) as made_kernel:
        await made_kernel.start(flow, WORDS)
        blobs.failing = lambda asked, key: asked == operation
        async with NodeHost(made_kernel, drain_timeout=0.1, cancel_grace=0.1):
            async with asyncio.timeout(TIMEOUT_S):
                while not begun.is_set():  # noqa: ASYNC110 - a thread begins when it does
                    await asyncio.sleep(0.01)
            await blobs.until_failed(0 if handler == "list" else 1)
        asked = blobs.failures
        leaving.set()
        async with asyncio.timeout(TIMEOUT_S):
            while _handler_threads() - before:  # noqa: ASYNC110 - a thread ends when it does
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

    assert blobs.failures == asked


def _handler_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("fairlead-")}
