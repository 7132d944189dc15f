"""Playing a scenario under faults: clients and hosts that are struck and come again, until everything has ended.

After every write the invariants of the stored rows are checked, and that no terminal status changed, no token went
back, and no outcome was replaced. At the end every acknowledged run exists, has ended as it must, was published in
order, and no handler was called more often than its attempts allow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from attrs import define, field

from fairlead.adapters.calling import PatientCaller
from fairlead.adapters.memory import (
    CollectingSink,
    MemoryBlobs,
    MemoryPersistence,
    MemoryScheduler,
    MemoryTransport,
    MemoryWakeups,
    SequentialIds,
)
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Kernel, RunStatus
from fairlead.ports import Ports
from fairlead.ports.errors import AdapterError
from fairlead.ports.reading import RunFilter
from fairlead.ports.records import TaskKey
from fairlead.ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK
from tests.simulation.faults import FaultyPersistence, Injector, Killed, Process, faulty
from tests.simulation.scenarios import Ledger, Scenario, Signal
from tests.simulation.virtual_loop import LoopClock, run_virtually
from tests.support.watched_blobs import broken_references

ROUNDS_MAX = 200
"""Rounds in which everything must have ended: each ends later than a lease."""

LATER_S = 60.0
"""When the second host of a round begins: after a lease and a reaper's allowance; the first may be paused."""


class Violation(AssertionError):
    """A promise was broken. Says what, and under which strikes."""


class _Seen(NamedTuple):
    """What must not change any more once `terminal`, and the token, which never falls."""

    terminal: bool
    status: str
    token: int
    output: bytes | None
    error: bytes | None


def _seen(snapshot: Mapping[str, list[dict[str, Any]]]) -> dict[str, _Seen]:
    rows = {f"run {row['id']}/{row['generation']}": _row(row, TERMINAL_RUN) for row in snapshot["runs"]}
    for row in snapshot["run_generations"]:
        rows[f"run {row['run_id']}/{row['generation']}"] = _row(row, TERMINAL_RUN)
    for row in snapshot["steps"]:
        rows[f"step {row['run_id']}/{row['slug']}/{row['generation']}"] = _row(row, TERMINAL_STEP)
    for row in snapshot["tasks"]:
        key = TaskKey(row["run_id"], row["step"], row["generation"], row["element"])
        rows[f"task {key}"] = _row(row, TERMINAL_TASK)
    return rows


def _row(row: Mapping[str, Any], terminal: Collection[str]) -> _Seen:
    status = str(row["status"])
    return _Seen(status in terminal, status, row.get("token", 0), row.get("output"), row["error"])


@define
class Played:
    """What a scenario left behind."""

    points: list[str]
    struck: list[str]
    executions: int = field(default=0)


def play(scenario: Scenario, injector: Injector, *, messages: bool) -> Played:
    """Play a scenario to its end.

    Args:
        scenario: what is started and what must come out.
        injector: where it is struck.
        messages: whether hosts are driven by a transport's messages, or poll.

    Raises:
        Violation: a promise was broken.
    """
    try:
        return run_virtually(_World(scenario, injector, messages=messages).play())
    except Violation as violation:
        strikes = ", ".join(injector.struck) or "none"
        raise Violation(f"{scenario.name} (messages={messages}), strikes: {strikes}: {violation}") from None


class _World:
    """One store, one transport, one sink, and the processes that come and go."""

    def __init__(self, scenario: Scenario, injector: Injector, *, messages: bool) -> None:
        self._scenario = scenario
        self._injector = injector
        self._messages = messages
        self._ledger = Ledger()
        self._flow = scenario.flow(self._ledger)
        self._clock = LoopClock()
        self._store = MemoryPersistence()
        self._sink = CollectingSink()
        self._transport = MemoryTransport(self._clock) if messages else MemoryWakeups(self._clock)
        self._blobs = MemoryBlobs(self._clock)
        self._ids = SequentialIds()
        self._seen: dict[str, _Seen] = {}
        self._checked: Mapping[str, list[dict[str, Any]]] = {}
        """The state that was found sound."""
        self._problems: list[str] = []

    async def play(self) -> Played:
        for key in self._scenario.inputs:
            await self._until_acknowledged(key)
        clients = [
            asyncio.ensure_future(self._until_cancelled(key, after_s))
            for key, after_s in self._scenario.cancelled_after_s.items()
        ]
        clients += [
            asyncio.ensure_future(self._until_retried(key, step)) for key, step in self._scenario.retried.items()
        ]
        clients += [asyncio.ensure_future(self._until_sent(signal)) for signal in self._scenario.signals]
        for _ in range(ROUNDS_MAX):
            await asyncio.gather(self._host(0.0), self._host(LATER_S))
            self._require_none(self._problems)
            if all(client.done() for client in clients) and await self._over():
                await self._check_end()
                return Played(self._injector.points, self._injector.struck, self._ledger.executions.total())
        raise Violation(f"not over after {ROUNDS_MAX} rounds")

    async def _host(self, delay_s: float) -> None:
        """A host that takes back what others lost, and works."""
        await asyncio.sleep(delay_s)
        await self._in_process(self._maintain)
        await self._in_process(self._work)
        await self._in_process(self._maintain)

    # Processes

    async def _in_process(self, act: Callable[[Kernel], Awaitable[None]]) -> None:
        """One incarnation: it does its work, or it is killed and everything it held open breaks."""
        process = Process(self._injector)
        handle = self._store.connect()
        kernel = self._kernel(self._ports(process, handle))
        acting = asyncio.ensure_future(act(kernel))
        dying = asyncio.ensure_future(process.killed.wait())
        await asyncio.wait([acting, dying], return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if process.killed.is_set():
            acting.cancel()
            handle.disconnect()
        with suppress(AdapterError, Killed, asyncio.CancelledError):
            await acting

    def _kernel(self, ports: Ports) -> Kernel:
        return Kernel(flows=[self._flow], ports=ports, inline_bytes_max=self._scenario.inline_bytes_max)

    def _ports(self, process: Process, handle: MemoryPersistence) -> Ports:
        persistence: Any = FaultyPersistence(handle, process, self._check_rows)
        return Ports(
            persistence=persistence,
            transport=faulty(self._transport, process, "transport"),
            blobs=faulty(self._blobs, process, "blobs"),
            scheduler=MemoryScheduler(),
            clock=self._clock,
            new_id=self._ids,
            new_secret=self._ids,
            new_caller=PatientCaller,
            sink=faulty(self._sink, process, "sink"),
        )

    async def _until_acknowledged(self, key: str) -> None:
        """A client that starts a run and does not give up before it is told the run's id."""

        async def start(kernel: Kernel) -> None:
            run = await kernel.start(self._flow, self._scenario.inputs[key], key=key)
            self._ledger.acknowledged[key] = run.id

        while key not in self._ledger.acknowledged:
            await self._in_process(start)

    async def _until_cancelled(self, key: str, after_s: float) -> None:
        """A client that cancels a run and does not give up before it is told what became of it."""

        async def cancel(kernel: Kernel) -> None:
            self._ledger.cancelled[key] = await kernel.cancel(self._ledger.acknowledged[key], reason=key)

        await asyncio.sleep(after_s)
        while key not in self._ledger.cancelled:
            await self._in_process(cancel)

    async def _until_retried(self, key: str, step: str) -> None:
        """A client that waits until a run has ended, and does not give up before it knows that it has been retried."""

        async def retry(kernel: Kernel) -> None:
            run = kernel.run(self._ledger.acknowledged[key])
            record = await run.read()
            if record.generation == 1 and record.status in TERMINAL_RUN:
                await run.retry(step)
            if record.generation > 1:  # by this incarnation, or by an earlier one
                self._ledger.retried.add(key)

        while key not in self._ledger.retried:
            await asyncio.sleep(1)
            await self._in_process(retry)

    async def _until_sent(self, signal: Signal) -> None:
        """A client that sends a signal and does not give up before it is told what became of it."""

        async def send(kernel: Kernel) -> None:
            run = kernel.run(self._ledger.acknowledged[signal.key])
            self._ledger.signals[signal] = await run.signal(signal.step, signal.payload, key=f"{signal.step} of client")

        await asyncio.sleep(signal.after_s)
        while signal not in self._ledger.signals:
            await self._in_process(send)

    async def _work(self, kernel: Kernel) -> None:
        async with ServerlessHost(kernel, lease_duration=30, heartbeats="loop") as host:
            if not self._messages:
                await host.process_available_jobs(1_000)
                return
            transport = kernel.ports.transport
            while deliveries := await transport.dequeue(queues=("default",), limit=10, wait_s=0):
                for delivery in deliveries:
                    report = await host.handle_job(delivery.job)
                    if report.acknowledged:
                        await transport.complete([delivery])

    async def _maintain(self, kernel: Kernel) -> None:
        async with ServerlessHost(kernel, lease_duration=30) as host:
            await host.run_maintenance_tick()

    # Checks

    async def _check_rows(self) -> None:
        """After every write: the invariants of this state, and of the step from the one before.

        More than half of what may write changes nothing, and what is as it was is as sound as it was.
        """
        snapshot = self._store.snapshot()
        problems = await broken_references(snapshot, self._blobs)
        self._problems += problems
        if snapshot == self._checked:
            return
        self._checked = snapshot
        problems = [f"{name}: {rows}" for name, rows in (await self._store.check_invariants()).items()]
        seen = _seen(snapshot)
        for key, before in self._seen.items():
            now = seen.get(key)
            if now is None:
                problems.append(f"{key} is gone")
            elif before.terminal and now != before:
                problems.append(f"I1: {key} had ended as {before} and is {now} now")
            elif now.token < before.token:
                problems.append(f"I5: the token of {key} went from {before.token} back to {now.token}")
        self._seen = seen
        self._problems += problems

    async def _over(self) -> bool:
        for run_id in self._ledger.acknowledged.values():
            record = await self._store.read_run(run_id)
            if record is None or record.status not in TERMINAL_RUN:
                return False
        unpublished = [row for row in self._store.snapshot()["outbox"] if not row["published"]]
        return not unpublished

    async def _check_end(self) -> None:
        scenario = self._scenario
        page = await self._store.list_runs(RunFilter(), limit=100, after=None)
        if {run.key: run.id for run in page.runs} != self._ledger.acknowledged:
            raise Violation("I22, I23: there are other runs than those acknowledged")
        kernel = self._kernel(self._ports(Process(Injector({})), self._store))
        for key, run_id in self._ledger.acknowledged.items():
            record = await self._store.read_run(run_id)
            status, expected = self._expected(key)
            if record is None or record.status is not status:
                raise Violation(f"run {key} is {record and record.status}, not {status}")
            run = kernel.run(run_id)
            got = await run.result() if record.status is RunStatus.COMPLETED else record.reason
            if got != expected:
                raise Violation(f"run {key} gave {got!r}, not {expected!r}")
            sequences = [event.sequence for event in self._sink.events if event.run_id == run_id]
            if list(dict.fromkeys(sequences)) != list(range(1, record.next_sequence)):
                raise Violation(f"I20: the sink saw the events of run {key} as {sequences}")
        await self._check_signals()
        for task, count in self._ledger.executions.items():
            if count > scenario.max_attempts:
                raise Violation(f"P2: the handler of {task} was called {count} times")

    async def _check_signals(self) -> None:
        """Every acknowledged signal was consumed, once."""
        for signal in self._scenario.signals:
            rows = await self._store.read_signals(self._ledger.acknowledged[signal.key])
            found = [row for row in rows if row.step == signal.step]
            if [row.consumed_at is not None for row in found] != [True]:
                raise Violation(f"I23: {signal} was answered {self._ledger.signals[signal]}, and there are {found}")

    def _expected(self, key: str) -> tuple[RunStatus, Any]:
        """How a run must have ended: as it says, or as the client was told who cancelled it (I23)."""
        cancelled = self._ledger.cancelled.get(key)
        if cancelled is not None and (cancelled.took_effect or cancelled.found is RunStatus.CANCELLED):
            return RunStatus.CANCELLED, key  # by us, or by an earlier incarnation
        if cancelled is not None and cancelled.found is not self._scenario.status:
            raise Violation(f"I23: the cancel of run {key} took no effect, since it had found it {cancelled.found}")
        return self._scenario.status, self._scenario.expected[key]

    def _require_none(self, problems: list[str]) -> None:
        if problems:
            raise Violation("; ".join(problems[:5]))
