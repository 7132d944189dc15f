"""A blob store that fails for a while, or has lost or damaged what was written. Faults 10, 60 and 61."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow
from fairlead.ports.blobs import BlobCorrupt
from fairlead.ports.statuses import RunStatus
from tests.support.large_payloads import TIMEOUT_S, World, echo, streaming, words
from tests.support.watched_blobs import referenced_blobs


@pytest.mark.fault(61)
async def test_reading_and_writing_wait_for_the_store(watched: World) -> None:
    """Fault 61: a store that answers 503 for a while costs time, no attempt, and holds no other run up."""
    down = True
    watched.blobs.failing = lambda operation, key: down and "/input/" not in key
    watched.blobs.losing = lambda key: watched.blobs.puts[key] % 2 == 1
    kernel = watched.kernel(streaming(), echo())
    async with NodeHost(kernel, concurrency=20):
        held = await kernel.start("echo", "x" * 100_000)
        streamed = await kernel.start("streaming", 2_000)
        await watched.blobs.until_failed(6)
        free = await kernel.start("echo", "small")
        assert await free.result(timeout=TIMEOUT_S) == {"second": ["small", "small"]}
        assert await held.status() is RunStatus.RUNNING
        down = False
        await held.result(timeout=TIMEOUT_S)
        await streamed.result(timeout=TIMEOUT_S)

    details = [await run.details() for run in (held, streamed)]
    assert [each.attempts for each in details] == [[], []]
    assert {task.attempts for each in details for task in each.tasks} == {1}
    for run in (held, streamed):
        await referenced_blobs(watched.ports, run.id)


@pytest.mark.fault(61)
async def test_writing_takes_longer_than_the_handler_may(watched: World) -> None:
    """The timeout is the handler's; what it returned in time is not lost because the store is slow."""
    flow = Flow("hasty", version=1, timeout=0.2, max_attempts=1)

    @flow.step
    async def made() -> str:
        return "x" * 100_000

    loop = asyncio.get_running_loop()
    until_s = loop.time() + 0.6
    watched.blobs.failing = lambda operation, key: loop.time() < until_s
    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start("hasty", None)

        assert await run.result(timeout=TIMEOUT_S) == {"made": "x" * 100_000}
    assert watched.blobs.failures > 1


@pytest.mark.fault(61)
@pytest.mark.parametrize("made", ["whole", "stream"])
async def test_a_cancelled_run_is_not_waited_for(watched: World, made: str) -> None:
    """What cannot be written is given up with its lease; the slot is free for others."""
    flow = Flow("cancelled", version=1)

    @flow.step
    async def whole(input: str) -> str:
        return "x" * 100_000 if input == "whole" else ""

    @flow.step
    def stream(input: str) -> Iterable[str]:
        return iter(words(2_000, 1_000)) if input == "stream" else []

    watched.blobs.failing = lambda operation, key: True
    kernel = watched.kernel(flow)
    async with NodeHost(kernel, concurrency=1, heartbeat_interval=0.05):
        run = await kernel.start("cancelled", made)
        await watched.blobs.until_failed()
        assert (await kernel.cancel(run.id)).took_effect
        other = await kernel.start("cancelled", "")

        assert await other.result(timeout=TIMEOUT_S) == {"whole": "", "stream": []}
    assert await run.status() is RunStatus.CANCELLED
    assert await watched.blobs.keys() == set()


@pytest.mark.fault(17, 61)
async def test_a_drained_host_gives_back_what_it_cannot_write(watched: World) -> None:
    """At the deadline the task is released, its attempt not spent; another host does it once the store is back."""
    watched.blobs.failing = lambda operation, key: "/first/" in key
    kernel = watched.kernel(echo())
    async with NodeHost(kernel, concurrency=1, drain_timeout=0.1):
        run = await kernel.start("echo", "x" * 100_000)
        await watched.blobs.until_failed()
    (task,) = [task for task in (await run.details()).tasks if task.key.step == "first"]
    assert (task.status, task.attempts) == ("queued", 0)

    watched.blobs.failing = lambda operation, key: False
    async with NodeHost(kernel):
        await run.result(timeout=TIMEOUT_S)


def _truncated(key: str, data: bytes) -> bytes:
    return data[:-1]


def _changed(key: str, data: bytes) -> bytes:
    return data[:-2] + b"y" + data[-1:]


def _swapped(key: str, data: bytes) -> bytes:
    return b'"' + b"z" * (len(data) - 2) + b'"'


@pytest.mark.fault(37, 60)
@pytest.mark.parametrize(
    "damage", [_truncated, _changed, _swapped, None], ids=lambda each: getattr(each, "__name__", "missing")
)
async def test_damage_is_noticed_and_nothing_is_taken_in_its_place(watched: World, damage: Any) -> None:
    """Fault 60: every attempt fails with a reason of its own, and so does the run; readers get an error."""
    flow = Flow("guarded", version=1, input=str, base_delay=0)

    @flow.step
    async def read(input: str) -> int:
        return len(input)

    kernel = watched.kernel(flow)
    run = await kernel.start(flow, "x" * 100_000)
    key = f"runs/{run.id}/input/whole"
    if damage is None:
        await watched.blobs.delete(key)
    else:
        watched.blobs.damaged = damage
    async with NodeHost(kernel):
        record = await run.wait(timeout=TIMEOUT_S)

    details = await run.details()
    assert (record.status, record.reason) == (RunStatus.FAILED, "blob_corrupt")
    assert [attempt.reason for attempt in details.attempts] == ["blob_corrupt"] * 3
    assert b"BlobCorrupt" in (record.error or b"")
    assert key.encode() in (record.error or b"")


@pytest.mark.fault(60)
async def test_an_answer_that_was_damaged_is_read_again(watched: World) -> None:
    """Fault 60: at once, without spending the attempt."""
    watched.blobs.damaged = lambda key, data: data if watched.blobs.gets[key] > 1 else data[:-1]
    kernel = watched.kernel(echo())
    run = await kernel.start("echo", "x" * 100_000)
    async with NodeHost(kernel):
        await run.wait(timeout=TIMEOUT_S)

    assert (await run.details()).attempts == []


@pytest.mark.fault(60)
async def test_damage_met_in_a_stream_fails_the_attempt(watched: World) -> None:
    """Fault 60: while the handler runs; only the one who reads is concerned."""
    flow = Flow("streamed", version=1, base_delay=0)
    begun: list[int] = []

    @flow.step
    def made() -> Iterable[str]:
        return iter(words(2_000, 1_000))

    @flow.step
    def taken(made: Iterable[str], ctx: Context) -> int:
        begun.append(ctx.attempt)
        return sum(map(len, made))

    kernel = watched.kernel(flow)
    watched.blobs.damaged = lambda key, data: data[:-1] if key.endswith("/1") and len(begun) < 2 else data
    async with NodeHost(kernel):
        run = await kernel.start("streamed", None)
        assert await run.result(timeout=TIMEOUT_S) == {"taken": 2_000_000}

    (attempt,) = (await run.details()).attempts
    assert (attempt.key.step, attempt.reason) == ("taken", "blob_corrupt")
    assert begun == [1, 2]


@pytest.mark.fault(60)
async def test_a_reader_is_told_of_damage(watched: World) -> None:
    """Fault 60: results and outputs resolve, or raise."""
    kernel = watched.kernel(echo())
    async with NodeHost(kernel):
        run = await kernel.start("echo", "x" * 100_000)
        await run.wait(timeout=TIMEOUT_S)
    await watched.blobs.delete(f"runs/{run.id}/second/1/0/1/whole")

    with pytest.raises(BlobCorrupt, match=r"second/1/0/1/whole' cannot be read from .*: it is missing"):
        await run.result()
    with pytest.raises(BlobCorrupt):
        await run.output("second")
    assert await run.output("first") == "x" * 100_000
