"""What is due and meets the lock of another transaction: put off, soon, and in nobody's way."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, RunStatus
from fairlead.kernel.decisions.firing import FAILURES_MAX, RETRY_DELAY_MAX
from fairlead.kernel.dispatch.firing import FIRE_CLAIM, FIRE_PATIENCE_S
from fairlead.kernel.references import digest_of
from fairlead.kernel.schedules import SignalEntry, requested_signal_name, write_entry
from fairlead.ports import Ports
from fairlead.ports.scheduler import ScheduledCommand
from tests.support.hands import Hands
from tests.support.locked import locked

ROUND_S_MAX = 4 * FIRE_PATIENCE_S
"""Twice what a round may wait in all: far less than a claim, and than either store waits for one lock otherwise."""


class RunningClock(ManualClock):
    """A clock whose date the test moves, while durations pass by themselves, as locks are waited for."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


@pytest.fixture
def clock() -> ManualClock:
    """Such a clock."""
    return RunningClock()


def asking_flow() -> Flow[Any]:
    """It waits for an answer."""
    flow: Flow[Any] = Flow("asking", version=1, input=int, input_name="n")
    flow.signal("answer", int)
    return flow


@pytest.fixture
def kernel(world: Ports) -> Kernel:
    """A kernel that has it."""
    return Kernel(flows=[asking_flow()], ports=world)


def answer_to(run_id: str, *, due_at: datetime) -> ScheduledCommand:
    """A signal that somebody's transaction has asked for."""
    entry = SignalEntry(run_id=run_id, flow="asking", step="answer", key="k", payload="1", digest=digest_of(b"1"))
    return ScheduledCommand(
        name=requested_signal_name(run_id, "answer", "k"), due_at=due_at, command=write_entry(entry), flow="asking"
    )


@pytest.mark.fault(24)
async def test_what_is_due_for_a_locked_run_holds_up_nothing(world: Ports, kernel: Kernel, clock: ManualClock) -> None:
    """Cancels and signals of locked runs are put off within a fraction of their claim, however many there are; what is
    due beside them is carried out in the same round, and they are once the lock is gone."""
    runs = [await kernel.start("asking", n) for n in range(6)]
    await Hands(kernel).claim_runs()
    for n, run in enumerate(runs[:5]):
        if n % 2:
            await world.scheduler.schedule(answer_to(run.id, due_at=clock.now()))
        else:
            await kernel.cancel_later(run.id, after=0)
    clock.advance(1)
    await kernel.cancel_later(runs[5].id, after=0)
    await kernel.start_later("asking", 7, after=0)

    async with locked(world, *(run.id for run in runs[:5])):
        began_s = time.monotonic()
        fired = await Hands(kernel).fire()
        took_s = time.monotonic() - began_s

    assert (fired.claimed, fired.cancelled, fired.started) == (7, 1, 1)
    assert [trouble.held for trouble in fired.troubles] == [False] * 5
    assert FIRE_PATIENCE_S <= took_s <= ROUND_S_MAX < FIRE_CLAIM.total_seconds() / 2
    clock.advance(1)
    again = await Hands(kernel).fire()
    assert (again.claimed, again.cancelled, again.signalled, again.troubles) == (5, 3, 2, ())


@pytest.mark.fault(24)
async def test_a_lock_never_holds_what_is_due(world: Ports, kernel: Kernel, clock: ManualClock) -> None:
    """However often a command has met it, it is tried again."""
    run = await kernel.start("asking", 1)
    deferred = await kernel.cancel_later(run.id, after=0)
    kept = await world.scheduler.read(deferred.name)
    assert kept is not None
    await world.scheduler.schedule(replace(kept.scheduled, failures=FAILURES_MAX))

    async with locked(world, run.id):
        (trouble,) = (await Hands(kernel).fire()).troubles

    assert not trouble.held
    clock.advance(RETRY_DELAY_MAX)
    assert (await Hands(kernel).fire()).cancelled == 1


async def test_what_is_due_waits_for_a_transaction_that_is_about_to_end(
    world: Ports, kernel: Kernel, clock: ManualClock
) -> None:
    """A run that is only busy is no trouble."""
    run = await kernel.start("asking", 1)
    await kernel.cancel_later(run.id, after=0)

    async with locked(world, run.id):
        firing = asyncio.create_task(Hands(kernel).fire())
        await asyncio.sleep(FIRE_PATIENCE_S / 5)
        assert not firing.done()
    fired = await firing

    assert (fired.cancelled, fired.troubles) == (1, ())
    assert (await run.read()).status is RunStatus.CANCELLED
