"""What a world notices besides rows: hosts that leave something open, write without need, or let work lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, MemoryPersistence
from fairlead.hosts.simulation import SimulationFailed, simulate
from fairlead.hosts.simulation.broken import Broken, NotOver
from fairlead.hosts.simulation.faults import Weather
from fairlead.hosts.simulation.hosting import Hosting
from fairlead.hosts.simulation.judging import broken_promises
from fairlead.hosts.simulation.ledger import RETURNED, Execution
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.striking import DELAY_S_MAX, Strikes
from fairlead.hosts.simulation.timeline import Entry
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Flow, Kernel, RunDetails
from fairlead.ports.records import TaskPhase


def _pausing() -> Flow[Any]:
    """A flow that waits for an hour."""
    flow = Flow("pausing", version=1, input=int)
    pause = flow.sleep("pause", 3_600)

    @flow.step(after=[pause])
    def last(input: int) -> int:
        return input

    return flow


def _played(
    flow: Flow[Any],
    besides: Callable[[World], Any] | None = None,
    *,
    setting: Setting | None = None,
    seed: object = "world",
) -> tuple[World, RunDetails]:
    """A world in which a run of it has ended, and that run."""

    async def clients(world: World) -> None:
        async def start(kernel: Kernel) -> bool:
            world.ledger.runs["run"] = (await kernel.start(flow, 1, key="run")).id
            return True

        await world.insist("client", start)
        if besides is not None:
            world.background = asyncio.ensure_future(besides(world))  # type: ignore[attr-defined]

    with World([flow], setting or Setting.calm(), Random(f"{seed}")) as world:
        world.play(clients)
        details = world.loop.run_until_complete(world.reader().run(world.ledger.runs["run"]).details())
    return world, details


def test_a_world_in_which_all_is_well() -> None:
    """Nothing is noticed."""
    flow = _pausing()
    world, details = _played(flow)

    assert list(broken_promises(world, flow, [details])) == []


def test_time_does_not_jump_over_an_answer_that_is_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would come as late as no answer is that a host waits for."""
    at, longest_s = Strikes.at, 0.0

    async def timed(self: Strikes, caller: Any, name: str, operation: Any) -> Any:
        nonlocal longest_s
        began_s = self.timeline.time()
        result = await at(self, caller, name, operation)
        if name != "transport.listen":  # which waits for as long as it is asked to
            longest_s = max(longest_s, self.timeline.time() - began_s)
        return result

    monkeypatch.setattr(Strikes, "at", timed)
    stormy = evolve(Setting.calm(), storm_s=30.0, weather=Weather(delayed=0.5))
    jumps = 0
    for seed in range(20):
        jumps += _played(_pausing(), setting=stormy, seed=seed)[0].jumps

    assert jumps > 0
    assert DELAY_S_MAX < longest_s < 2 * DELAY_S_MAX + 1


def test_a_system_that_writes_although_it_is_quiet() -> None:
    """I36: while everything waits for a time, no row changes."""

    async def write(world: World) -> None:
        while True:
            await asyncio.sleep(1)
            world._rows.runs[world.ledger.runs["run"]].row.priority += 1  # pyright: ignore[reportPrivateUsage]
            await world.written()

    with pytest.raises(Broken, match="I36: something was written while everything waits until"):
        _played(_pausing(), write)


def test_work_that_nobody_takes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """I35: a host is idle, and something could begin."""

    async def claim_none(*_: object) -> list[object]:
        return []

    monkeypatch.setattr(MemoryPersistence, "claim_tasks", claim_none)

    with pytest.raises(Broken, match=r"I35: .* waits for a host since .* s; one is idle"):
        _played(_pausing())


@pytest.mark.fault(77)
def test_a_host_that_leaves_a_task_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """I37: of the framework's own. What a handler leaves behind is not the host's."""
    run_node, left = Hosting.run_node, list[asyncio.Future[Any]]()

    async def run(self: Hosting, stopping: asyncio.Event) -> None:
        await run_node(self, stopping)
        left.append(asyncio.ensure_future(self._receive(None, asyncio.Event())))  # type: ignore[arg-type]

    monkeypatch.setattr(Hosting, "run_node", run)

    with pytest.raises(Broken, match=r"I37: host-1\.\d+ has stopped and left open a task in Hosting\._receive"):
        _played(_pausing())


@pytest.mark.fault(77)
def test_a_host_that_leaves_a_transaction_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """I37: it holds locks, and others wait for them."""
    run_node, left = Hosting.run_node, list[object]()

    async def run(self: Hosting, stopping: asyncio.Event) -> None:
        await run_node(self, stopping)
        manager = self.kernel.ports.persistence.transaction()
        await manager.__aenter__()
        left.append(manager)

    monkeypatch.setattr(Hosting, "run_node", run)

    with pytest.raises(Broken, match=r"I37: .* has stopped and left open 1 transaction"):
        _played(_pausing())


@pytest.mark.filterwarnings("ignore::fairlead.hosts.simulation.NotCompared")
def test_a_task_that_a_handler_leaves_behind() -> None:
    """It is the flow's, and nobody is blamed: it goes on until its host ends, and no seed fails for it."""
    flow, left = Flow[Any]("leaving", version=1, input=int), list[asyncio.Future[None]]()

    @flow.step
    async def leaves(input: int) -> int:
        left.append(asyncio.ensure_future(asyncio.sleep(10_000)))
        return input

    report = simulate(flow, 1, seeds=3)

    assert (report.end, report.seeds) == ("completed", 3)
    assert len(left) >= 4
    assert not any(task.done() and not task.cancelled() for task in left), "none came to its own end"


def _with(world: World, details: RunDetails, *executions: Execution) -> str:
    """What is said of it, had the handler of its last step been called like this."""
    world.ledger.executions[str(details.tasks[-1].key)] = list(executions)
    return "; ".join(broken_promises(world, world.flows[0], [details]))


def _called(details: RunDetails, attempt: int, began_s: float = 1.0, how: str = RETURNED) -> Execution:
    task = details.tasks[-1].key
    return Execution(
        str(task), task.step, attempt, attempt, TaskPhase.RUN, "host-1.1", began_s, ended_s=began_s, how=how
    )


def test_promises_about_calls() -> None:
    """P2: an attempt that was stopped is called again only if the record has it given back. I9: one has returned."""
    world, details = _played(_pausing())
    name = str(details.tasks[-1].key)
    stopped = _called(details, 1, how="raised CancelledError")

    assert _with(world, details, stopped, _called(details, 1)).startswith("P2: ")
    world.ledger.given_back[name, 1] = 1
    assert _with(world, details, stopped, _called(details, 1)) == ""
    assert _with(world, details, _called(details, 1), _called(details, 99)).startswith("P2: ")
    assert _with(world, details, stopped).startswith("I9: ")


def test_a_handler_that_begins_after_a_cancel() -> None:
    """P6: later than its lease can have lasted, on a host that did not stand still meanwhile."""
    world, details = _played(_pausing())
    key = details.tasks[-1].key
    world.ledger.cancelled[key.run_id, key.generation] = 100.0

    assert _with(world, details, _called(details, 1, 120.0)) == ""
    assert _with(world, details, _called(details, 1, 150.0)).startswith("P6: the handler of")
    world.timeline.entries.append(Entry(50.0, "host-1.1", "stands still for 40 s"))
    world.timeline.entries.append(Entry(110.0, "host-2.1", "stands still for 40 s"))
    assert _with(world, details, _called(details, 1, 150.0)).startswith("P6: "), "before the cancel, or another host"
    world.timeline.entries.append(Entry(110.0, "host-1.1", "stands still for 40 s"))
    assert _with(world, details, _called(details, 1, 150.0)) == ""


def test_events_that_are_never_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all runs have ended and their events have not arrived, it is said which sink lacks what, and why."""

    async def refuse(*_: object) -> int:
        raise ConnectionError("no")

    monkeypatch.setattr(CollectingSink, "publish", refuse)
    flow = Flow[Any]("telling", version=1, input=int)

    @flow.step
    def only(input: int) -> int:
        return input

    with pytest.raises(NotOver, match=r"sink 'default' lacks event 1 of run .*: it was .*; .* its shard \d+"):
        _played(flow)


def test_a_course_that_differs_in_an_output_has_another_trace() -> None:
    """So a handler that draws random numbers is noticed although all else is the same."""

    def digest(value: int) -> str:
        flow = Flow[Any]("constant", version=1, input=int)

        @flow.step
        def constant(input: int) -> int:
            return value

        with pytest.raises(SimulationFailed) as failed:
            simulate(flow, 1, seeds=1, invariants=[lambda outcome: outcome.seed is None])
        return failed.value.digest

    assert digest(1) == digest(1) != digest(2)
