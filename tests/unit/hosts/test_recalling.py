"""Claims whose answers were lost: what they leased is found again and costs no attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from attrs import evolve

from fairlead.adapters.memory import MemoryPersistence, MemoryTransport, memory_ports
from fairlead.adapters.memory.transaction import MemoryTransaction
from fairlead.adapters.system import SystemClock
from fairlead.hosts.execution import Stop
from fairlead.hosts.node import NodeHost
from fairlead.hosts.node.loops import ReceiveLoop
from fairlead.hosts.serverless import ServerlessHost
from fairlead.hosts.slots import Slots
from fairlead.hosts.worker import Worker, WorkerOptions
from fairlead.kernel import Context, Flow, Kernel
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown
from fairlead.ports.records import ClaimedTask, Lease, PendingRun, RunClaim, TaskClaim, TaskRow
from fairlead.ports.statuses import TaskStatus
from tests.support.hands import Hands
from tests.support.waiting import until

TIMEOUT_S = 5.0


class Forgetful(MemoryPersistence):
    """A store that carries out its first claims, of runs and of tasks, and loses the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.losing_runs = self.losing_tasks = 1
        self.recalled = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    def transaction(self) -> AbstractAsyncContextManager[MemoryTransaction]:
        return _Losing(self, super().transaction())

    async def claim_tasks(self, claim: TaskClaim) -> Sequence[ClaimedTask]:
        claimed = await super().claim_tasks(claim)
        if claimed and self.losing_tasks:
            self.losing_tasks -= 1
            raise CommitUnknown("the answer to a claim of tasks was lost")
        return claimed

    async def find_leased(self, worker: str) -> Sequence[TaskRow]:
        for row in await super().find_leased(worker):  # as a heartbeat may have done since the claim
            await self.extend_leases([Lease(row.key, row.token)], datetime.now(UTC) + timedelta(hours=1))
        leased = await super().find_leased(worker)
        self.recalled.set()
        await self.answering.wait()
        return leased


class _Losing:
    """A transaction; where it claims runs its commit may be answered by nothing."""

    def __init__(self, store: Forgetful, inner: AbstractAsyncContextManager[MemoryTransaction]) -> None:
        self._store = store
        self._inner = inner
        self._claims = False

    async def __aenter__(self) -> Any:
        self._transaction = await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)
        if error[0] is None and self._claims and self._store.losing_runs:
            self._store.losing_runs -= 1
            raise CommitUnknown("the answer to a claim of runs was lost")

    async def claim_runs(self, claim: RunClaim) -> Sequence[PendingRun]:
        runs = await self._transaction.claim_runs(claim)
        self._claims = bool(runs)
        return runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)


def _once() -> Flow[list[int]]:
    flow = Flow("once", version=1, input=list[int], input_name="numbers", max_attempts=1)

    @flow.map(over="numbers")
    async def square(item: int) -> int:
        return item * item

    @flow.step(start_delay=0.01)
    async def total(square: list[int]) -> int:
        return sum(square)

    return flow


@pytest.fixture
def store() -> Forgetful:
    """The store of a test."""
    return Forgetful()


@pytest.fixture(params=["hints", "delivers"])
def ports(request: pytest.FixtureRequest, store: Forgetful) -> Ports:
    """Ports with that store, and either kind of transport."""
    clock = SystemClock()
    transport = MemoryTransport(clock) if request.param == "delivers" else None
    return evolve(memory_ports(clock=clock, transport=transport), persistence=store)


@pytest.mark.fault(22)
async def test_a_lost_answer_costs_a_node_no_attempt(nothing_left_open: None, store: Forgetful, ports: Ports) -> None:
    """With a single attempt per task, claims of runs and of tasks whose answers are lost are carried out."""
    async with Kernel(flows=[_once()], ports=ports) as kernel:
        run = await kernel.start("once", [1, 2, 3])
        async with NodeHost(kernel, concurrency=2, sweep_interval=0.2) as host:
            assert await run.result(timeout=TIMEOUT_S) == {"total": 14}
            assert host.running
        assert (store.losing_runs, store.losing_tasks) == (0, 0)
        assert {task.attempts for task in (await run.details()).tasks} == {1}
        assert {task.losses for task in (await run.details()).tasks} == {0}


@pytest.mark.fault(22, 47)
async def test_a_call_gives_back_what_it_does_not_know_of(
    nothing_left_open: None, store: Forgetful, ports: Ports
) -> None:
    """The error is told, so that the message comes again; what was leased is free for the next call at once."""
    async with Kernel(flows=[_once()], ports=ports) as kernel, ServerlessHost(kernel) as host:
        run = await kernel.start("once", [1, 2, 3])
        with pytest.raises(CommitUnknown):
            await host.handle_job({"run_id": run.id})

        tasks = (await run.details()).tasks
        assert {(task.status, task.attempts) for task in tasks} == {(TaskStatus.QUEUED, 0)}
        with pytest.raises(CommitUnknown):
            await host.process_available_jobs(100)
        assert (await host.process_available_jobs(100)).completed == 3


async def test_a_drain_gives_back_what_it_does_not_know_of(nothing_left_open: None, store: Forgetful) -> None:
    """A host that is stopped right after a lost answer leaves nothing leased behind."""
    ports = evolve(memory_ports(clock=SystemClock()), persistence=store)
    async with Kernel(flows=[_once()], ports=ports) as kernel:
        host = NodeHost(kernel)
        await host.start()
        run = await kernel.start("once", [1, 2])
        await until(lambda: not store.losing_runs)
        await host.stop()

        tasks = (await run.details()).tasks
        assert {(task.status, task.attempts) for task in tasks} == {(TaskStatus.QUEUED, 0)}


@pytest.mark.fault(39)
async def test_what_ended_while_it_was_asked_for_is_not_begun_again(nothing_left_open: None, store: Forgetful) -> None:
    """A task that was settled after the store was read and before its answer came runs once."""
    store.losing_runs = 0
    begun: list[str] = []
    hold = asyncio.Event()
    flow = Flow("held", version=1, input=int, input_name="n", max_attempts=1)

    @flow.step
    async def work(n: int, ctx: Context) -> int:
        begun.append(ctx.idempotency_key)
        if n == 1:
            await hold.wait()
        return n

    ports = evolve(memory_ports(clock=SystemClock()), persistence=store)
    async with Kernel(flows=[flow], ports=ports) as kernel, NodeHost(kernel, poll_interval=0.01):
        first = await kernel.start(flow, 1)
        await until(lambda: begun)
        store.answering.clear()
        store.losing_runs = 1
        second = await kernel.start(flow, 2)
        await store.recalled.wait()
        hold.set()
        assert await first.result(timeout=TIMEOUT_S) == {"work": 1}
        store.answering.set()
        assert await second.result(timeout=TIMEOUT_S) == {"work": 2}

    assert len(begun) == len(set(begun)) == 2


async def test_what_was_let_go_unsettled_is_not_taken_on_again(nothing_left_open: None, store: Forgetful) -> None:
    """A task that its host gave up is the reaper's, although the store still shows it as the host's."""
    begun: list[str] = []
    flow = Flow("given_up", version=1, input=int, input_name="n", max_attempts=1)

    @flow.step
    async def work(n: int, ctx: Context) -> int:
        begun.append(ctx.idempotency_key)
        if n == 1:
            await asyncio.Event().wait()
        return n

    store.losing_runs = 0
    ports = evolve(memory_ports(clock=SystemClock()), persistence=store)
    async with Kernel(flows=[flow], ports=ports) as kernel, NodeHost(kernel, poll_interval=0.01) as host:
        await kernel.start(flow, 1)
        await until(lambda: begun)
        worker = cast(Any, host)._running._worker
        worker.stop([Lease(lease.key, lease.token) for lease in worker.leases()], Stop.LEASE_LOST)
        store.losing_runs = 1
        second = await kernel.start(flow, 2)
        assert await second.result(timeout=TIMEOUT_S) == {"work": 2}
        assert store.recalled.is_set()

    assert len(begun) == len(set(begun)) == 2


@pytest.mark.fault(22)
async def test_slots_that_went_while_recalling_are_not_filled_by_messages() -> None:
    """Others take slots while the store is asked what was leased; with none left no message is asked for.

    A transport that was asked for none at all answered at once or never, and was asked again.
    """
    slots = Slots(1)
    asked: list[int] = []

    class Taking:
        """Ticks in whose recall the last slot goes to a task that is handed over."""

        may_claim = True

        async def recall(self) -> int:
            slots.take(1)
            return 0

        async def claim_delivered(self, deliveries: Sequence[object]) -> int:
            return 0

    class Asked:
        async def receive(self, limit: int) -> Sequence[object]:
            asked.append(limit)
            return ()

    worker = SimpleNamespace(slots=slots, congested=False)
    receiving = ReceiveLoop(cast(Any, worker), cast(Any, Asked()), cast(Any, Taking()), when_claimed=lambda: None)
    await receiving.step()
    assert asked == []

    waiting = asyncio.ensure_future(receiving.step())
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.give(1)
    await waiting


async def test_what_was_settled_is_remembered_as_long_as_an_answer_may_name_it() -> None:
    """A late answer begins no settled task again; once it has come nothing is remembered, however busy the host."""
    flow = Flow("counted", version=1, input=int, input_name="n")

    @flow.step
    async def work(n: int) -> int:
        return n

    kernel = Kernel(flows=[flow], ports=memory_ports(clock=SystemClock()))
    options = WorkerOptions(
        worker="w", concurrency=10, queues=("default",), lease_duration=timedelta(seconds=30), cancel_grace_s=1
    )
    worker = Worker(kernel, options, {})
    for n in range(6):
        await kernel.start(flow, n)
    tasks = await Hands(kernel, "w", slots=10).claim_runs()
    remembered = worker._settled_meanwhile  # pyright: ignore[reportPrivateUsage]

    def settle(task: ClaimedTask) -> None:
        worker._let_go(Lease(task.key, task.token), settled=True)  # pyright: ignore[reportPrivateUsage]

    settle(tasks[0])
    assert not remembered, "nobody was asking"
    late, quick = worker.asking(), worker.asking()
    with late:
        settle(tasks[1])
        with quick:
            settle(tasks[2])
        with worker.asking():
            settle(tasks[3])
    assert worker.adopt(tasks[1:4]) == 0, "the late answer names all three"

    asking = worker.asking()
    asking.__enter__()
    for task in (*tasks[4:], *tasks[:4]):  # one question or another is always under way
        following = worker.asking()
        following.__enter__()
        asking.__exit__(None, None, None)
        asking = following
        settle(task)
    assert len(remembered) <= 2
    asking.__exit__(None, None, None)
    worker.threads.close()
    await kernel.aclose()
