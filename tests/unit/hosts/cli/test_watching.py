"""Looking at a run until it has ended, and noticing that nobody works on it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli import idleness, watching
from fairlead.hosts.cli.displays import JsonLines, Silence
from fairlead.hosts.cli.watching import Look, watch, watch_shown
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, RunNotFound, RunStatus, WaitTimeout
from fairlead.ports.outbox import OutboxRow
from tests.support.records import run_id


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once."""
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0)


def kernel() -> Kernel:
    """A kernel with one flow, in memory."""
    flow = Flow("parade", version=3)

    @flow.step
    def prepare(input: int) -> list[int]:
        return list(range(input))

    @flow.map(over=prepare)
    def march(item: int) -> int:
        return item

    return Kernel(flows=[flow], ports=memory_ports())


async def test_every_event_is_seen_once_until_the_end() -> None:
    """From the run's creation to its end, in order, whenever the watching began."""
    async with kernel() as flows, NodeHost(flows):
        run = await flows.start("parade", 3)
        during = [look async for look in watch(flows, run.id)]
        after = [look async for look in watch(flows, run.id)]
        details = await run.details()

    for looks in (during, after):
        seen = [event.sequence for look in looks for event in look.events]
        assert seen == [event.sequence for event in details.events]
        assert [look.ended for look in looks] == [False] * (len(looks) - 1) + [True]
        assert [step.slug for step in looks[-1].steps] == ["prepare", "march"]
    assert len(after) == 1


async def test_no_event_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look reads on from where the one before was, however long the run has become."""
    async with kernel() as flows:
        persistence = flows.ports.persistence
        read, rows = persistence.read_events, list[int]()

        async def counting(run_id: str, *, after: int = 0) -> Sequence[OutboxRow]:
            found = await read(run_id, after=after)
            rows.extend(row.first_sequence for row in found)
            return found

        monkeypatch.setattr(persistence, "read_events", counting)
        run = await flows.start("parade", 3)
        looks = watch(flows, run.id)
        await anext(looks)
        async with NodeHost(flows):
            async for _ in looks:
                pass

    assert len(rows) > 1
    assert sorted(set(rows)) == rows


async def test_no_flow_needs_to_be_known() -> None:
    """Another kernel on the same store watches too; what does not exist is told."""
    async with kernel() as flows, NodeHost(flows):
        run = await flows.start("parade", 1)
        ended = await watch_shown(Kernel(flows=[], ports=flows.ports), run.id, JsonLines(io.StringIO()))
        with pytest.raises(RunNotFound):
            await watch_shown(flows, run_id(9), Silence())

    assert (ended.id, ended.status) == (run.id, RunStatus.COMPLETED)


async def test_steps_stand_in_order_of_definition_from_the_first_look_to_the_last() -> None:
    """Whether or not they have begun, in a run that fails too, and without the flow's code."""
    flow = Flow("parade", version=3, max_attempts=1)

    @flow.step
    def zeal(input: int) -> int:
        return input

    @flow.step
    def march(zeal: int) -> int:
        raise ValueError("no legs")

    @flow.step
    def salute(zeal: int, march: int) -> int:
        return zeal

    @flow.step
    def disband(salute: int) -> int:
        return salute

    async with Kernel(flows=[flow], ports=memory_ports()) as flows, NodeHost(flows):
        run = await flows.start("parade", 1)
        stranger = Kernel(flows=[], ports=flows.ports)
        looks = [look async for look in watch(stranger, run.id)]
        details = await stranger.run(run.id).details()

    orders = {tuple(step.slug for step in look.steps) for look in looks}
    assert orders - {()} == {("zeal", "march", "salute", "disband")}
    assert details.run.status is RunStatus.FAILED
    assert [step.slug for step in details.steps] == ["zeal", "march", "salute", "disband"]
    assert [task.key.step for task in details.tasks] == ["zeal", "march"]


async def test_watching_ends_after_its_time() -> None:
    """The run goes on, and the error says how it stood."""
    async with kernel() as flows:
        run = await flows.start("parade", 1)
        with pytest.raises(WaitTimeout, match="is still pending after 0\\.01 s"):
            await watch_shown(flows, run.id, Silence(), timeout=0.01)


async def test_a_run_that_nobody_claims_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without change the flow and version are named that a worker would need."""
    monkeypatch.setattr(idleness, "IDLE_AFTER_S", 0)
    monkeypatch.setattr(idleness, "ASK_EVERY_S", 0)

    async def first_idle(flows: Kernel, run: str) -> Look:
        async for look in watch(flows, run):
            if look.idle is not None:
                return look
        raise AssertionError("the run ended")

    async with kernel() as flows:
        run = await flows.start("parade", 1)
        found = await asyncio.wait_for(first_idle(flows, run.id), 10)

    assert found.idle is not None
    assert found.idle.startswith("no worker has claimed it for ")
    assert found.idle.endswith("is one running that has flow 'parade' in version 3?")
