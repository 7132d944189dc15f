"""How long a settle is repeated that gets into another transaction's way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock, MemoryPersistence, memory_ports
from fairlead.adapters.memory.transaction import MemoryTransaction
from fairlead.kernel import Flow, Kernel
from fairlead.kernel.commands import Capacity, Outcome, OutcomeKind, SettleTasks
from fairlead.kernel.dispatch.advancing import SETTLE_PATIENCE_S
from fairlead.kernel.dispatch.means import CONTENTION_TRIES_MAX
from fairlead.ports.errors import Contention
from fairlead.ports.records import TaskKey


class Contended(MemoryPersistence):
    """A store whose transactions fail after a while."""

    def __init__(self, clock: ManualClock, lasts_s: float) -> None:
        super().__init__()
        self.clock = clock
        self.lasts_s = lasts_s
        self.tries = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[MemoryTransaction]:
        self.tries += 1
        self.clock.advance(timedelta(seconds=self.lasts_s))
        raise Contention("in the way")
        yield


class RestlessClock(ManualClock):
    """A clock that nobody has to move on for those who sleep."""

    async def sleep(self, duration_s: float) -> None:
        self.advance(timedelta(seconds=duration_s))


@pytest.mark.fault(23, 24)
@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(
    ("lasts_s", "tries"), [(0.0, CONTENTION_TRIES_MAX), (SETTLE_PATIENCE_S, 1)], ids=["deadlock", "lock"]
)
async def test_a_settle_that_ran_into_a_lock_is_left_to_its_host(lasts_s: float, tries: int, wait: bool) -> None:
    """A deadlock is over at once and tried again from the top; a lock that lasts is the host's to go around."""
    clock = RestlessClock(datetime(2026, 1, 1, tzinfo=UTC))
    store = Contended(clock, lasts_s)
    flow = Flow("plain", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    async with Kernel(flows=[flow], ports=evolve(memory_ports(clock=clock), persistence=store)) as kernel:
        await kernel.register()
        (flow_id,) = kernel.flow_ids
        key = TaskKey("run", "work", 1, 0)
        outcome = Outcome(key=key, token=1, flow_id=flow_id, kind=OutcomeKind.COMPLETED, output=b"1")
        capacity = Capacity(worker="w", flow_ids=(flow_id,), queues=(), slots=0, lease_duration=timedelta(seconds=1))
        with pytest.raises(Contention):
            await kernel.dispatch(SettleTasks(outcomes=(outcome,), capacity=capacity, wait=wait))

    assert store.tries == tries
