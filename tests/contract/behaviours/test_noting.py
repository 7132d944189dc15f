"""Acceptance behaviour 72: what handlers log, tell and annotate is visible while they run, and none of it is lost.

With real hosts, whose writers run beside their handlers.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from attrs import evolve

from fairlead.adapters.system import SystemClock
from fairlead.hosts.beside import HeartbeatsIn
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Context, Flow, Kernel, LogEntry, LogLevel, RunFilter, RunStatus
from fairlead.kernel.commands import ReapTasks
from fairlead.ports import Ports

PATIENCE_S = 20.0

Found = TypeVar("Found")


@pytest.fixture
async def sound(ports: Ports) -> AsyncGenerator[Ports]:
    """The adapter's ports; in the end every invariant holds."""
    yield ports

    assert await ports.persistence.check_invariants() == {}


async def found(look: Callable[[], Awaitable[Found]]) -> Found:
    """What is there as soon as something is."""
    return await until(look, bool)


async def until(look: Callable[[], Awaitable[Found]], is_it: Callable[[Found], object]) -> Found:
    """What is there as soon as it is what is waited for."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_it(seen := await look()):  # noqa: ASYNC110 - a host writes in a thread of its own
            await asyncio.sleep(0.01)
    return seen


def said(entries: list[LogEntry]) -> list[str]:
    """The messages."""
    return [entry.message for entry in entries]


async def test_notes_are_visible_while_the_handler_runs(sound: Ports) -> None:
    """Of an async handler: its log, its progress and its annotations, by which the run is found."""
    flow: Flow[Any] = Flow("notes", version=1)
    go = asyncio.Event()

    @flow.step
    async def work(input: object, ctx: Context) -> str:
        ctx.log("began", order=7, lines=[1, 2])
        ctx.log("careful", level="warning")
        ctx.progress(3, 12, "page 3 of 12")
        ctx.annotate(customer="acme", stage="working")
        await go.wait()
        return "done"

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        first, second = await until(run.logs, lambda logs: len(logs) == 2)
        (progress,) = await found(run.progress)
        annotations = await found(run.annotations)
        listed = await kernel.runs(RunFilter(annotations={"stage": "working"}))
        status = await run.status()
        go.set()
        await run.result(timeout=PATIENCE_S)

    assert status is RunStatus.RUNNING
    assert (first.message, first.level, first.fields) == ("began", LogLevel.INFO, {"order": 7, "lines": [1, 2]})
    assert (first.step, first.element, first.attempt, first.number) == ("work", 0, 1, 1)
    assert (second.message, second.level, second.fields) == ("careful", LogLevel.WARNING, {})
    assert (progress.done, progress.total, progress.message) == (3, 12, "page 3 of 12")
    assert annotations == {"customer": "acme", "stage": "working"}
    assert [each.id for each in listed.runs] == [run.id]


@pytest.mark.parametrize("blocks", ["loop", "thread"])
async def test_notes_of_a_handler_that_blocks_are_visible(sound: Ports, blocks: str) -> None:
    """The host's event loop as a whole, or a thread of its own: the writer has a thread for itself."""
    flow: Flow[Any] = Flow("blocking", version=1)
    go = threading.Event()

    def block(ctx: Context) -> str:
        ctx.log("blocking")
        ctx.progress(1)
        ctx.annotate(blocked=True)
        return "seen" if go.wait(PATIENCE_S) else "never seen"

    if blocks == "loop":

        @flow.step(slug="work", timeout=60)
        async def work(ctx: Context) -> str:
            return block(ctx)

    else:
        flow.step(slug="work", timeout=60)(block)

    kernel = Kernel(flows=[flow], ports=sound)
    run = await kernel.start(flow, None)
    began_s = time.monotonic()
    seen_after_s: list[float] = []

    async def watch() -> None:
        async with sound.persistence.dedicated() as persistence:
            other = kernel.on(persistence).run(run.id)
            for look in (other.logs, other.progress, other.annotations):
                await until(look, bool)
            seen_after_s.append(time.monotonic() - began_s)
            go.set()

    watcher = threading.Thread(target=lambda: asyncio.run(watch()))
    async with NodeHost(kernel):
        watcher.start()
        result = await run.result(timeout=PATIENCE_S)
    watcher.join()

    assert result == {"work": "seen"}
    assert seen_after_s[0] < 10  # a second or two where nothing else is to be done


@pytest.mark.parametrize("heartbeats", ["thread", "loop"])
@pytest.mark.parametrize("ends", ["returns", "raises", "in a thread"])
async def test_what_was_noted_right_before_the_end_is_there_with_the_outcome(
    sound: Ports, heartbeats: HeartbeatsIn, ends: str
) -> None:
    """Whoever sees the run ended sees all of it, in its order; the annotation is told before the step's end."""
    flow: Flow[Any] = Flow("ends", version=1, max_attempts=1)

    def note(ctx: Context) -> None:
        for number in range(100):
            ctx.log(f"line {number}")
            ctx.progress(number, 100)
        ctx.annotate(last=99)
        if ends == "raises":
            raise ValueError("no")

    if ends == "in a thread":
        flow.step(slug="work")(note)
    else:

        @flow.step(slug="work")
        async def work(ctx: Context) -> None:
            note(ctx)

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel, heartbeats=heartbeats):
        run = await kernel.start(flow, None)
        await run.wait(timeout=PATIENCE_S)
        logs, progress, annotations = await run.logs(), await run.progress(), await run.annotations()
        events = [event.type for event in (await run.details()).events]

    assert said(logs) == [f"line {number}" for number in range(100)]
    assert [each.done for each in progress] == [99]
    assert annotations == {"last": 99}
    assert events.index("run.annotated") < events.index("step.failed" if ends == "raises" else "step.completed")


async def test_every_attempt_keeps_its_log(sound: Ports) -> None:
    """Failed ones included; the progress is that of the last."""
    flow: Flow[Any] = Flow("retried", version=1, max_attempts=3, base_delay=0)

    @flow.step
    async def work(ctx: Context) -> int:
        ctx.log(f"attempt {ctx.attempt}")
        ctx.progress(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError("again")
        return ctx.attempt

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        await run.result(timeout=PATIENCE_S)

    assert [(entry.message, entry.attempt) for entry in await run.logs()] == [
        (f"attempt {number}", number) for number in (1, 2, 3)
    ]
    assert [(each.attempt, each.done) for each in await run.progress()] == [(3, 3)]


async def test_the_elements_of_a_map_note_for_themselves(sound: Ports) -> None:
    """All entries of all of them, each with its element."""
    flow: Flow[Any] = Flow("many", version=1)

    @flow.map(over="input")
    async def each(item: int, ctx: Context) -> int:
        ctx.log("element", value=item)
        ctx.progress(item)
        ctx.annotate(**{f"seen_{item % 10}": True})
        return item

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel, concurrency=20):
        run = await kernel.start(flow, list(range(200)))
        await run.result(timeout=PATIENCE_S)
    logs = await run.logs()

    values: list[Any] = [entry.fields["value"] for entry in logs]
    assert sorted(values) == list(range(200))
    assert all(entry.element == entry.fields["value"] for entry in logs)
    assert len(await run.progress()) == 200
    assert await run.annotations() == {f"seen_{number}": True for number in range(10)}


async def test_a_serverless_call_leaves_no_note_behind(sound: Ports) -> None:
    """When it returns, all is written."""
    flow: Flow[Any] = Flow("called", version=1)

    @flow.step
    def work(ctx: Context) -> int:
        ctx.log("called")
        ctx.progress(1, 1)
        ctx.annotate(called=True)
        return 1

    kernel = Kernel(flows=[flow], ports=sound)
    async with ServerlessHost(kernel) as host:
        run = await kernel.start(flow, None)
        report = await host.process_available_jobs(10)

    assert report.completed == 1
    assert said(await run.logs()) == ["called"]
    assert len(await run.progress()) == 1
    assert await run.annotations() == {"called": True}


async def test_a_cancelled_attempt_keeps_its_log(sound: Ports) -> None:
    """What it noted until the cancel, written or not; nothing is noted after it."""
    flow: Flow[Any] = Flow("cancelled", version=1)
    asked, answered, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @flow.step
    async def work(ctx: Context) -> None:
        ctx.progress(1)
        ctx.log("began")
        try:
            await asked.wait()
            ctx.log("went on")
            answered.set()
            await asyncio.sleep(60)
        finally:
            ctx.log("stopped")
            ctx.progress(2)
            ctx.annotate(ghost=True)
            stopped.set()

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel, lease_duration=1, heartbeat_interval=0.05):
        run = await kernel.start(flow, None)
        await found(run.logs)
        asked.set()
        await asyncio.wait_for(answered.wait(), PATIENCE_S)
        await run.cancel()
        await asyncio.wait_for(stopped.wait(), PATIENCE_S)

    assert said(await run.logs()) == ["began", "went on"]
    assert [each.done for each in await run.progress()] == [1]
    assert await run.annotations() == {}


async def test_a_drained_attempt_keeps_what_it_noted(sound: Ports) -> None:
    """The host ends while the handler runs: given back, with its notes written before."""
    flow: Flow[Any] = Flow("drained", version=1)
    began = asyncio.Event()

    @flow.step
    async def work(ctx: Context) -> None:
        ctx.log(f"attempt {ctx.attempt}")
        began.set()
        await asyncio.sleep(60)

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel, drain_timeout=0):
        run = await kernel.start(flow, None)
        await asyncio.wait_for(began.wait(), PATIENCE_S)
    (task,) = (await run.details()).tasks

    assert said(await run.logs()) == ["attempt 1"]
    assert (task.status, task.attempts) == ("queued", 0)


async def test_logs_are_followed_to_the_end_of_a_run(sound: Ports) -> None:
    """Each entry once, as they come; the iteration ends with the run."""
    flow: Flow[Any] = Flow("followed", version=1)
    steps = [asyncio.Event() for _ in range(3)]

    @flow.step
    async def work(ctx: Context) -> None:
        for number, step in enumerate(steps):
            ctx.log(f"stage {number}")
            await step.wait()
        ctx.log("done")

    kernel = Kernel(flows=[flow], ports=sound)
    seen: list[str] = []
    async with NodeHost(kernel), asyncio.timeout(PATIENCE_S):
        run = await kernel.start(flow, None)
        async for entry in run.follow_logs():
            seen.append(entry.message)
            if len(seen) <= len(steps):
                steps[len(seen) - 1].set()

    assert seen == ["stage 0", "stage 1", "stage 2", "done"]


class LeapingClock(SystemClock):
    """The system's clock, which can leap on for everybody at once."""

    leapt = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.leapt


async def test_a_zombie_annotates_nothing(sound: Ports) -> None:
    """Its lease ran out and its task is another's: what it notes from then on counts for nothing."""
    flow: Flow[Any] = Flow("zombie", version=1, base_delay=0)
    began, goes = threading.Event(), threading.Event()

    @flow.step
    def work(ctx: Context) -> str:
        if ctx.attempt == 1:
            began.set()
            goes.wait(PATIENCE_S)
            ctx.annotate(ghost=True)
            ctx.progress(100)
            return "zombie"
        ctx.progress(1)
        ctx.annotate(alive=True)
        return "alive"

    clock = LeapingClock()
    kernel = Kernel(flows=[flow], ports=evolve(sound, clock=clock))
    run = await kernel.start(flow, None)
    async with NodeHost(kernel, worker="zombie", concurrency=1):
        await asyncio.to_thread(began.wait, PATIENCE_S)
        clock.leapt = timedelta(hours=1)
        assert await kernel.dispatch(ReapTasks()) == 1
        async with NodeHost(kernel, worker="alive"):
            result = await run.result(timeout=PATIENCE_S)
            goes.set()

    assert result == {"work": "alive"}
    assert await run.annotations() == {"alive": True}
    assert [each.done for each in await run.progress()] == [1]


async def test_fields_that_are_no_json_become_text(sound: Ports) -> None:
    """Noting fails nobody: whatever a value is, and whatever it does when it is looked at."""
    flow: Flow[Any] = Flow("odd", version=1)

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @flow.step
    def work(ctx: Context) -> None:
        message: Any = Odd()
        ctx.log("nul \0 and \ud800", value={1, 2}, lock=threading.Lock(), odd=Odd(), nan=float("nan"))
        ctx.log(message)
        ctx.progress(0, message="nul \0")

    kernel = Kernel(flows=[flow], ports=sound)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        await run.result(timeout=PATIENCE_S)
    first, second = await run.logs()

    assert first.message == "nul \u2400 and ?"
    assert first.fields["value"] == [1, 2]
    assert "lock" in str(first.fields["lock"])
    assert "str() raised RuntimeError" in str(first.fields["odd"])
    assert first.fields["nan"] == "nan"
    assert "str() raised RuntimeError" in second.message
    assert (await run.progress())[0].message == "nul \u2400"
    assert json.dumps(dict(first.fields))
