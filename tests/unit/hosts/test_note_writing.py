"""Writing notes beside handlers: in batches, however the store fails, and never in an outcome's way for long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import MemoryPersistence, memory_ports
from fairlead.adapters.system import SystemClock
from fairlead.hosts import worker as worker_module
from fairlead.hosts.beside import HeartbeatsIn
from fairlead.hosts.node import NodeHost
from fairlead.hosts.note_writing import NoteWriting
from fairlead.hosts.notebook import AttemptNotes, Notebook
from fairlead.kernel import Context, Flow, Kernel
from fairlead.kernel.notes import entry_of
from fairlead.ports.errors import AdapterError, CommitUnknown, Unavailable, UnstorableValue
from fairlead.ports.notes import LogLevel, NewLogEntry, ProgressRecord
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import Lease
from tests.support.hands import Hands
from tests.support.waiting import until

TIMEOUT_S = 20.0


class Notes(MemoryPersistence):
    """A store whose writing of notes does what a test says, on every handle."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[Exception] = []
        """What the next writes raise; after it has happened for `CommitUnknown`."""
        self.down = False
        self.poison = ""
        self.writes: list[int] = []
        """How many notes each write had."""
        self.opened = 0

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Persistence]:
        self.opened += 1
        yield self

    async def write_notes(self, entries: Sequence[NewLogEntry], progress: Sequence[ProgressRecord]) -> None:
        error = Unavailable("down") if self.down else self.script.pop(0) if self.script else None
        self.writes.append(len(entries) + len(progress))
        if self.poison and any(self.poison in entry.message for entry in entries):
            raise UnstorableValue("poison")
        if error is None or isinstance(error, CommitUnknown):
            await super().write_notes(entries, progress)
        if error is not None:
            raise error


@pytest.fixture
def store() -> Notes:
    """A store that takes notes as it is told."""
    return Notes()


def _kernel(store: Notes, *flows: Flow[Any]) -> Kernel:
    persistence: Any = store
    return Kernel(flows=flows, ports=evolve(memory_ports(), persistence=persistence))


def _talkative(lines: int = 3) -> Flow[Any]:
    flow: Flow[Any] = Flow("talkative", version=1, max_attempts=1)

    @flow.map(over="input")
    async def talk(item: str, ctx: Context) -> None:
        for number in range(lines):
            ctx.log(f"{item} {number}")

    return flow


@pytest.mark.usefixtures("nothing_left_open")
@pytest.mark.parametrize("heartbeats", ["thread", "loop"])
@pytest.mark.parametrize(
    "errors", [[Unavailable("down")] * 3, [CommitUnknown("lost")] * 2, [TimeoutError()]], ids=["down", "lost", "slow"]
)
async def test_notes_are_written_however_often_it_takes(
    store: Notes, errors: list[Exception], heartbeats: HeartbeatsIn
) -> None:
    """Each once, before their outcomes."""
    store.script = list(errors)
    kernel = _kernel(store, _talkative())
    async with NodeHost(kernel, heartbeats=heartbeats):
        run = await kernel.start("talkative", ["a"])
        await run.wait(timeout=TIMEOUT_S)

        assert [entry.message for entry in await run.logs()] == ["a 0", "a 1", "a 2"]
    assert not store.script


@pytest.mark.usefixtures("nothing_left_open")
async def test_what_the_store_refuses_takes_no_others_with_it(store: Notes, caplog: pytest.LogCaptureFixture) -> None:
    """The notes of one attempt are lost and the log says so; all outcomes are recorded."""
    store.poison = "bad"
    kernel = _kernel(store, _talkative())
    async with NodeHost(kernel):
        run = await kernel.start("talkative", ["good", "bad", "fine"])
        await run.result(timeout=TIMEOUT_S)

    assert {entry.message.partition(" ")[0] for entry in await run.logs()} == {"good", "fine"}
    assert "3 notes of task" in caplog.text


@pytest.mark.fault(21)
async def test_a_store_that_goes_away_while_notes_are_written_apart(
    store: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    """That is no refusal of any of them: all are written again, each once, and only what is refused then is lost."""
    caplog.set_level(logging.ERROR)
    kernel, notebook = _kernel(store, _talkative()), Notebook(SystemClock())
    async with kernel:
        run = await kernel.start("talkative", ["good", "bad"])
        tasks = await Hands(kernel, slots=2).claim_runs()
        for task, message in zip(tasks, ("good", "bad"), strict=True):
            notes = AttemptNotes(notebook, Lease(task.key, task.token), task.attempt)
            notes.log(LogLevel.INFO, entry_of(message, {}))
        store.poison, stop = "bad", asyncio.Event()
        store.script = [UnstorableValue("poison"), Unavailable("down")]
        writing = NoteWriting(kernel, notebook, asyncio.get_running_loop(), own_handle=False, name="tested")
        stop.set()
        async with asyncio.timeout(TIMEOUT_S):
            await writing.run(stop)

        assert store.writes == [2, 1, 2, 1, 1]
        assert [entry.message for entry in await run.logs()] == ["good"]
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"1 notes of task {tasks[1].key} are lost"
    ]


@pytest.mark.usefixtures("nothing_left_open")
async def test_a_refusal_that_nobody_foresaw_takes_no_others_with_it(store: Notes) -> None:
    """Such as a permission that is missing: notes are lost, outcomes are not."""
    store.script = [AdapterError("permission denied", retryable=False), KeyError("surprise")]
    kernel = _kernel(store, _talkative())
    async with NodeHost(kernel):
        run = await kernel.start("talkative", ["a"])
        await run.result(timeout=TIMEOUT_S)
        again = await kernel.start("talkative", ["b"])
        await again.result(timeout=TIMEOUT_S)
        third = await kernel.start("talkative", ["c"])
        await third.result(timeout=TIMEOUT_S)

    assert [len(await each.logs()) for each in (run, again, third)] == [0, 0, 3]


@pytest.mark.usefixtures("nothing_left_open")
async def test_an_outcome_does_not_wait_for_ever(
    store: Notes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where notes alone cannot be written it is recorded after a while, and they are written when they can be."""
    monkeypatch.setattr(worker_module, "NOTES_PATIENCE_S", 0.05)
    store.down = True
    kernel = _kernel(store, _talkative())
    async with NodeHost(kernel):
        run = await kernel.start("talkative", ["a"])
        await run.result(timeout=TIMEOUT_S)
        before = await run.logs()
        store.down = False
        async with asyncio.timeout(TIMEOUT_S):
            while not await run.logs():  # noqa: ASYNC110 - a host writes in a thread of its own
                await asyncio.sleep(0.01)

    assert before == []
    assert len(await run.logs()) == 3
    assert "is recorded before all of its notes" in caplog.text


@pytest.mark.usefixtures("nothing_left_open")
async def test_a_host_ends_although_its_notes_cannot_be_written(
    store: Notes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It tries for a while, then says how many are lost; outcomes are recorded."""
    from fairlead.hosts import note_writing

    monkeypatch.setattr(note_writing, "LAST_TRIES_S", 0.1)
    monkeypatch.setattr(worker_module, "NOTES_PATIENCE_S", 60)
    store.down = True
    kernel = _kernel(store, _talkative())
    began_s = time.monotonic()
    async with NodeHost(kernel, drain_timeout=0.1):
        run = await kernel.start("talkative", ["a"])
        await until(lambda: store.writes)
    took_s = time.monotonic() - began_s

    assert (await run.result(timeout=TIMEOUT_S)) == {"talk": [None]}
    assert "3 notes could not be written" in caplog.text
    assert took_s < TIMEOUT_S


@pytest.mark.usefixtures("nothing_left_open")
async def test_a_flow_that_notes_nothing_writes_nothing(store: Notes) -> None:
    """Not even a connection is opened for it, whether its handlers take a context or not."""
    flow: Flow[Any] = Flow("silent", version=1)

    @flow.step
    async def one(ctx: Context) -> int:
        return ctx.attempt

    @flow.step
    def two(one: int) -> int:
        return one

    kernel = _kernel(store, flow)
    async with NodeHost(kernel):
        run = await kernel.start("silent", None)
        await run.result(timeout=TIMEOUT_S)

    assert store.writes == []
    assert store.opened == 1  # that of the heartbeats


@pytest.mark.usefixtures("nothing_left_open")
async def test_notes_of_a_moment_are_written_together(store: Notes) -> None:
    """While the handler runs, twice a second at most; what is noted right before its end with that of all others."""
    flow: Flow[Any] = Flow("steady", version=1)

    @flow.step
    async def work(ctx: Context) -> None:
        ends_s = time.monotonic() + 1.2
        while time.monotonic() < ends_s:
            ctx.log("tick")
            ctx.progress(1)
            await asyncio.sleep(0.005)

    kernel = _kernel(store, flow)
    async with NodeHost(kernel):
        run = await kernel.start("steady", None)
        await run.result(timeout=TIMEOUT_S)

    assert len(store.writes) <= 5
    assert sum(store.writes) >= len(await run.logs()) > 10


@pytest.mark.usefixtures("nothing_left_open")
async def test_a_writer_that_fails_disturbs_no_heartbeat(
    store: Notes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect in one duty ends no other; it is begun again."""
    from fairlead.hosts.note_writing import NoteWriting

    working = NoteWriting._write_on  # pyright: ignore[reportPrivateUsage]
    failures = iter([RuntimeError("defect"), SystemExit()])

    async def failing(self: Any, *arguments: Any) -> None:
        error = next(failures, None)
        if error is not None:
            raise error
        await working(self, *arguments)

    monkeypatch.setattr(NoteWriting, "_write_on", failing)
    kernel = _kernel(store, _talkative())
    async with NodeHost(kernel):
        run = await kernel.start("talkative", ["a", "b"])
        await run.result(timeout=TIMEOUT_S)

        assert len(await run.logs()) == 6
    assert "NoteWriting has ended although its host goes on" in caplog.text
