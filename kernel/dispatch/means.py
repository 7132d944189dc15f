"""What every command is carried out with: the kernel's plans and ports, repetition, and waking who has work now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from ...ports import Ports
from ...ports.changes import RunUpdate
from ...ports.errors import AdapterError, CommitUnknown, Contention
from ...ports.records import RunRow
from ...ports.statuses import TERMINAL_RUN
from ...ports.transport import Job
from ..commands import Command
from ..decisions.state import ChangeSet
from ..errors import UnknownFlow
from ..plan import Plan
from ..registry import Registry
from .announcing import jobs_of_changes

Done = TypeVar("Done")

Handlers: TypeAlias = Mapping[type[Command[Any]], Callable[[Any], Coroutine[Any, Any, Any]]]
"""What carries out each command of an area."""

CONTENTION_TRIES_MAX = 6
"""How often a transaction is tried that ends in a deadlock, serialization failure or lock timeout."""

CONTENTION_DELAY_S = 0.01
"""The pause before the second try; it doubles with each further one."""


class Means:
    """The means of one kernel."""

    def __init__(self, registry: Registry, ports: Ports, *, inline_bytes_max: int) -> None:
        self.ports = ports
        self.persistence = ports.persistence
        self.clock = ports.clock
        self.registry = registry
        self.inline_bytes_max = inline_bytes_max

    @property
    def plans(self) -> Mapping[int, Plan]:
        """The plans of the registered flows, by flow id."""
        return self.registry.plans

    @property
    def flow_ids(self) -> tuple[int, ...]:
        """The ids of the registered flows."""
        return tuple(self.registry.by_id)

    def plan_of(self, run: RunRow) -> Plan:
        """The plan of a run.

        Raises:
            UnknownFlow: this kernel does not have its flow in that version and shape.
        """
        plan = self.plans.get(run.flow_id)
        if plan is None:
            raise UnknownFlow(run.flow, None, self.registry.known)
        return plan

    async def from_the_top(self, transact: Callable[[], Awaitable[Done]], *, patience_s: float | None = None) -> Done:
        """Run one transaction, again where it got into another's way: its rollback left no trace.

        Args:
            transact: runs it.
            patience_s: after this long it is not tried again; None where only the tries are counted.
        """
        clock = self.clock
        ends_s = float("inf") if patience_s is None else clock.monotonic() + patience_s
        for tries in range(1, CONTENTION_TRIES_MAX):
            try:
                return await transact()
            except Contention:  # recovers 23, 24: a transaction got into another's way, and left no trace
                if clock.monotonic() >= ends_s:
                    raise
                await clock.sleep(CONTENTION_DELAY_S * 2 ** (tries - 1))
        return await transact()

    async def until_known(self, transact: Callable[[], Awaitable[Done]], *, patience_s: float | None = None) -> Done:
        """Run a transaction that recognises its own effect, again where the answer to its commit was lost.

        What fails after that is unknown, too, however it fails: an earlier try may have taken effect. `patience_s` as
        for `from_the_top`.
        """
        unknown: CommitUnknown | None = None
        for tries in range(CONTENTION_TRIES_MAX):
            if unknown is not None:
                await self.clock.sleep(CONTENTION_DELAY_S * 2 ** (tries - 1))
            try:
                return await self.from_the_top(transact, patience_s=patience_s)
            except CommitUnknown as error:
                # recovers 22: the answer to a commit is lost, so it is repeated to be recognised
                unknown = error
            except AdapterError as error:
                if unknown is None:
                    raise
                # recovers 22: a try after it fails otherwise
                raise CommitUnknown(f"{unknown}; then: {error}") from error
        assert unknown is not None, "every try ended with it"
        raise unknown  # recovers 22: a commit stays unknown, however often it is tried

    async def wake_for(self, changes: ChangeSet, runs: Mapping[str, RunRow], now: datetime) -> None:
        """Announce what a committed decision has queued, and tell of the runs that it has ended.

        Args:
            changes: as committed.
            runs: the runs whose tasks went back to their queues.
            now: the time of the decision.
        """
        flow_ids = {run_id: row.flow_id for run_id, row in runs.items()}
        plans = {run_id: self.plans[flow_id] for run_id, flow_id in flow_ids.items()}
        delivers = self.ports.transport.delivers
        await self.wake(jobs_of_changes(changes, plans, flow_ids=flow_ids, now=now, delivers=delivers))
        await self.tell_ended(changes.runs)

    async def tell_ended(self, updates: Iterable[RunUpdate]) -> None:
        """Tell whoever waits for them of runs that have ended; where that fails, they look for themselves."""
        ended = [update.id for update in updates if update.status in TERMINAL_RUN]
        if ended:
            with suppress(AdapterError):  # recovers 8: ends cannot be told
                await self.ports.transport.tell_ended(ended)

    async def wake(self, jobs: Sequence[Job]) -> None:
        """Announce jobs; where that fails, hosts find them by polling, or a sweep announces them again."""
        if jobs:
            with suppress(AdapterError):  # recovers 8, 48: queued work cannot be announced; polls and the sweep find it
                await self.ports.transport.enqueue(jobs)
