"""Playing a scenario under a plan of strikes: clients and hosts come again, until everything has ended.

Hosts are real ones on two machines, and what a strike kills is really dead. Every committed state is checked, and each
against the one before (`RowChecks`). At the end every acknowledged run exists and has ended as it must, and what the
framework promises was kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from random import Random

from attrs import field, frozen

from fairlead.hosts.simulation.broken import Broken
from fairlead.hosts.simulation.fate import Plan, Strike
from fairlead.hosts.simulation.faults import Weather
from fairlead.hosts.simulation.judging import broken_promises
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.hosts.virtual import Deadlock
from fairlead.kernel import CancelledRun, Kernel, RunDetails, RunStatus
from fairlead.kernel.commands import SentSignal
from fairlead.kernel.resolving import broken_references
from fairlead.ports.reading import RunFilter
from fairlead.ports.statuses import TERMINAL_RUN
from tests.simulation.outputs import output_of
from tests.simulation.scenarios import Scenario, Signal

OVER_S = 10_000.0
"""In which virtual time all must be over."""


@frozen
class Driving:
    """What hosts are, and how they learn of work."""

    name: str
    serverless: bool
    """Whether they run in single calls, or have loops of their own."""
    delivers: bool
    """Whether a transport's messages drive them, or they poll."""

    def setting(self) -> Setting:
        """Two machines, and nothing that happens by chance."""
        return Setting(
            weather=Weather(),
            machines=2,
            serverless=float(self.serverless),
            concurrency=3,
            lease=timedelta(seconds=30),
            poll_interval_s=20.0,
            maintenance_s=20.0,
            delivers=self.delivers,
            storm_s=OVER_S,
            kills=100,
        )


DRIVEN = (
    Driving("node, polling", serverless=False, delivers=False),
    Driving("node, messages", serverless=False, delivers=True),
    Driving("serverless, polling", serverless=True, delivers=False),
    Driving("serverless, messages", serverless=True, delivers=True),
)


class Violation(AssertionError):
    """A promise was broken. Says what, and under which strikes."""


@frozen
class Played:
    """What a scenario left behind."""

    points: list[str]
    struck: list[str]
    executions: int
    """How many handlers were called."""


@frozen
class Told:
    """What clients were told."""

    cancelled: dict[str, CancelledRun] = field(factory=dict[str, CancelledRun])
    """By the key of the run."""
    signals: dict[Signal, SentSignal] = field(factory=dict[Signal, SentSignal])


def play(scenario: Scenario, driving: Driving, strikes: Mapping[int, Strike] | None = None) -> Played:
    """Play a scenario to its end.

    Args:
        scenario: what is started and what must come out.
        driving: what hosts are, and how they learn of work.
        strikes: what strikes at which points; None for nothing.

    Raises:
        Violation: a promise was broken.
    """
    flow, plan, told = scenario.flow(), Plan(strikes or {}), Told()
    world = World(
        [flow], driving.setting(), Random(scenario.name), inline_bytes_max=scenario.inline_bytes_max, fate=plan
    )
    with world:
        try:
            world.play(lambda world: _Clients(world, scenario, told).act())
            problems = world.loop.run_until_complete(_problems(world, scenario, told))
        except Broken as broken:
            problems = list(broken.problems)
        except Deadlock as deadlock:
            problems = [str(deadlock)]
        if problems:
            raise Violation(f"{scenario.name} ({driving.name}): {plan}: {'; '.join(problems[:5])}")
        return Played(plan.points, plan.struck, world.ledger.count)


@frozen
class _Clients:
    """Whoever acts from outside, and does not give up before it knows what became of that."""

    world: World
    scenario: Scenario
    told: Told

    async def act(self) -> None:
        """All that a scenario says."""
        for key in self.scenario.inputs:
            await self._start(key)
        async with asyncio.TaskGroup() as clients:
            for key, after_s in self.scenario.cancelled_after_s.items():
                clients.create_task(self._cancel(key, after_s))
            for key, step in self.scenario.retried.items():
                clients.create_task(self._retry(key, step))
            for signal in self.scenario.signals:
                clients.create_task(self._send(signal))

    async def _start(self, key: str) -> None:
        async def start(kernel: Kernel) -> bool:
            run = await kernel.start(self.world.flows[0], self.scenario.inputs[key], key=key)
            self.world.ledger.runs[key] = run.id
            return True

        await self.world.insist(f"start {key}", start)

    async def _cancel(self, key: str, after_s: float) -> None:
        async def cancel(kernel: Kernel) -> bool:
            self.told.cancelled[key] = await kernel.cancel(self.world.ledger.runs[key], reason=key)
            return True

        await asyncio.sleep(after_s)
        await self.world.insist(f"cancel {key}", cancel)

    async def _retry(self, key: str, step: str) -> None:
        """Once a run has ended, by this incarnation or by an earlier one."""
        run_id = self.world.ledger.runs[key]

        async def retry(kernel: Kernel) -> bool:
            run = kernel.run(run_id)
            record = await run.read()
            if record.generation == 1 and record.status in TERMINAL_RUN:
                await run.retry(step)
            return True

        while not self.world.has_ended(run_id):  # noqa: ASYNC110 as a client would that polls
            await asyncio.sleep(1)
        await self.world.insist(f"retry {key}", retry)

    async def _send(self, signal: Signal) -> None:
        async def send(kernel: Kernel) -> bool:
            run = kernel.run(self.world.ledger.runs[signal.key])
            self.told.signals[signal] = await run.signal(signal.step, signal.payload, key=f"{signal.step} of client")
            return True

        await asyncio.sleep(signal.after_s)
        await self.world.insist(f"signal {signal.step}", send)


# What must hold at the end


async def _problems(world: World, scenario: Scenario, told: Told) -> list[str]:
    kernel = world.reader()
    runs = [await kernel.run(run_id).details() for run_id in world.ledger.runs.values()]
    problems = list(broken_promises(world, world.flows[0], runs))
    problems += [f"I28: {broken}" async for broken in broken_references(kernel.ports)]
    listed = await kernel.runs(RunFilter(), limit=100)
    if {run.key: run.id for run in listed.runs} != world.ledger.runs:
        problems.append("I22, I23: there are other runs than those acknowledged")
    for key, details in zip(world.ledger.runs, runs, strict=True):
        problems += [f"run {key}: {problem}" async for problem in _of_run(kernel, scenario, told, key, details)]
    for signal in scenario.signals:
        rows = await kernel.ports.persistence.read_signals(world.ledger.runs[signal.key])
        found = [row for row in rows if row.step == signal.step]
        if [row.consumed_at is not None for row in found] != [True]:
            problems.append(f"I23: {signal} was answered with {told.signals[signal]}, and there are {found}")
    return problems


async def _of_run(kernel: Kernel, scenario: Scenario, told: Told, key: str, details: RunDetails) -> AsyncIterator[str]:
    """Whether a run has ended as it must: as it says, or as the client was told who cancelled it (I23)."""
    status, expected = scenario.status, scenario.expected.get(key)
    cancelled = told.cancelled.get(key)
    if cancelled is not None and (cancelled.took_effect or cancelled.found is RunStatus.CANCELLED):
        status, expected = RunStatus.CANCELLED, key  # by us, or by an earlier incarnation
    elif cancelled is not None and cancelled.found is not status:
        yield f"I23: its cancel took no effect, since it had found it {cancelled.found}"
    if details.run.status is not status:
        yield f"it is {details.run.status}, not {status}: {details.run.reason}"
        return
    completed = status is RunStatus.COMPLETED
    run = kernel.run(details.run.id)
    got = await run.result() if completed else details.run.reason
    if expected is not None and got != expected:
        yield f"it gave {got!r}, not {expected!r}"
    if completed and scenario.agree is not None:
        outputs = {step.slug: await output_of(kernel, details.run.id, step.slug) for step in details.steps}
        if not scenario.agree(outputs):
            yield f"what its steps returned does not agree: {outputs}"
    if completed and details.annotations != scenario.annotated:
        yield f"it is annotated with {details.annotations}, not with {scenario.annotated}"
