"""`Kernel`: the commands and readings of one set of flows over one set of ports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from attrs import evolve

from ..ports import CallerConnection, Ports
from ..ports.notes import AnnotationValue
from ..ports.persistence import Persistence
from ..ports.reading import RunCursor, RunFilter, RunPage
from .api.blocking import Blocking
from .api.control import Control
from .api.deferred import Deferred
from .api.deferring import Deferring
from .api.diagnosis import Diagnosing
from .api.notes import Annotating
from .api.retention import Pruning
from .api.schedules import Schedules
from .api.signals import Signals
from .api.subscriptions import Subscribing
from .arguments import checked_page_limit
from .commands import (
    CancelledRun,
    CancelRun,
    RequestCancel,
    RunStart,
    StartRuns,
    StartRunsOn,
    require_startable,
)
from .definition import Flow
from .dispatch import Dispatcher
from .dispatch.joining import callers_of
from .errors import InvalidArgument
from .filters import checked_runs
from .plan import Plan
from .references import INLINE_BYTES_MAX
from .registry import Registry
from .runs import RunHandle
from .sinks import Sinks
from .starting import Start, start_runs
from .timekeeping import Timekeeper

T = TypeVar("T")
Result = TypeVar("Result")

RUNS_PER_PAGE_MAX = 1_000
"""Runs in one page of `runs`."""

INLINE_BYTES_LIMIT = 16 * 1024 * 1024
"""The largest `inline_bytes_max`, in bytes. A host holds the rows of a whole batch in memory, each up to so large: who
raises it must have that memory as often as hosts have slots."""


class Kernel(
    Blocking,
    Control,
    Diagnosing,
    Pruning,
    Schedules,
    Deferring,
    Signals,
    Subscribing,
    Annotating,
):
    """Decides what happens to flows, runs, steps and tasks; everything else it asks of its ports.

    A kernel opens nothing when it is made. Its flows are registered with the store by the first call that needs them
    there. Several kernels in one process know nothing of each other.

    Args:
        flows: the flows this process knows; each is sealed. Of one (slug, version) there is one flow.
        ports: an adapter for each port.
        inline_bytes_max: the largest payload that stands in its row, in bytes of JSON; larger ones go to the
            BlobStore. Kernels over one store need not agree on it.

    Raises:
        FlowDefinitionError: a flow cannot be sealed, or two flows share slug and version.
        InvalidArgument: `inline_bytes_max` is no number of bytes up to `INLINE_BYTES_LIMIT`.
    """

    def __init__(self, *, flows: Iterable[Flow[Any]], ports: Ports, inline_bytes_max: int = INLINE_BYTES_MAX) -> None:
        self.ports = ports
        self.inline_bytes_max = _checked_size(inline_bytes_max)
        self._registry = Registry(flows)
        self._sinks = Sinks(ports)
        self._timekeeper = Timekeeper()
        self._dispatcher = Dispatcher(self._registry, ports, self._sinks, inline_bytes_max=self.inline_bytes_max)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the ports. Whatever is stored stays."""
        await self.ports.aclose()

    def on(self, persistence: Persistence) -> Kernel:
        """The same kernel over another handle on the same store, as a heartbeat thread needs it."""
        other = self._over(evolve(self.ports, persistence=persistence))
        other._timekeeper = None
        return other

    def _over(self, ports: Ports) -> Kernel:
        other = object.__new__(Kernel)
        other.ports = ports
        other.inline_bytes_max = self.inline_bytes_max
        other._registry = self._registry
        other._sinks = self._sinks
        other._timekeeper = self._timekeeper
        other._dispatcher = Dispatcher(self._registry, other.ports, self._sinks, inline_bytes_max=self.inline_bytes_max)
        return other

    # Flows

    @property
    def flows(self) -> tuple[Flow[Any], ...]:
        """The flows that this kernel was made with."""
        return self._registry.flows

    @property
    def flow_ids(self) -> tuple[int, ...]:
        """The ids of the registered flows: what a host may claim."""
        return tuple(self._registry.by_id)

    def flow_of(self, flow_id: int) -> Flow[Any]:
        """The flow that a claimed task belongs to."""
        return self._registry.by_id[flow_id].flow

    def plan_of(self, flow_id: int) -> Plan:
        """The plan of the flow that a claimed task belongs to."""
        return self._registry.plans[flow_id]

    # Commands

    @overload
    async def start(
        self,
        flow: Flow[T],
        input: T,
        *,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
        connection: CallerConnection | None = None,
    ) -> RunHandle: ...
    @overload
    async def start(
        self,
        flow: str,
        input: object,
        *,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
        connection: CallerConnection | None = None,
    ) -> RunHandle: ...
    async def start(
        self,
        flow: Flow[Any] | str,
        input: object,
        *,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
        annotations: Mapping[str, AnnotationValue] | None = None,
        connection: CallerConnection | None = None,
    ) -> RunHandle:
        """Put a run down as pending. When this returns, the run is durable.

        A large input is checked, encoded and cut in the caller's event loop, which does nothing else meanwhile: some
        5 ms for a megabyte. Where that is too long, keep the data in a store of its own, or let a step make it.

        Args:
            flow: the flow, or the slug of one; a slug means its newest version.
            input: a value of the flow's input type, or JSON that fits it.
            key: makes the call repeatable: the same key and payload give the same run, for this flow, for as long
                as the run is kept.
            priority: higher is claimed first, within a queue.
            config: settings by step, merged over the defaults of their classes.
            annotations: what the run is found by: texts, finite numbers and truth values by key. They are no part of
                what a repeated key is compared with; a run that exists keeps its own.
            connection: of the caller's, to put the run down in the transaction that it is in: the run is there once
                they commit, and never if they roll back. See below.

        On a connection the run is inserted, and that is all: no row that exists is locked, nothing is committed or
        announced. No `UsageError` makes the transaction unusable, `IdempotencyConflict` included. Where another
        transaction has inserted the same key and not committed yet, this waits for it, and in the end finds its run or
        makes one. (At REPEATABLE READ and above the database ends the later one of the two, as it does with all that
        such transactions disagree about.)

        A large input is in blobs before. A rollback leaves them to be collected, which may happen after a day, so a
        commit has to come before. Hosts are woken after the commit of a session of SQLAlchemy; after any other they
        find the run when they look next. Until the commit the handle is good for its `id` and `created`: reading the
        run or waiting for it raises `RunNotFound`, while `request_signal` and `request_cancel` on the same connection
        find it. A connection that blocks is used in this thread and blocks its event loop; `start_sync` is the same
        without one.

        Raises:
            UnknownFlow: the kernel does not have it.
            ForeignFlow: the kernel has another object of that flow and version.
            InvalidInput: input, config, key, priority or annotations do not fit; every problem is listed with its path,
                and no run was made.
            IdempotencyConflict: the key was used with another payload.
            FlowShapeConflict: the store has another shape under this flow's version.
            ConnectionsUnsupported, InvalidConnection: nothing can be put down on that connection.
            TransactionFailed: the transaction of the connection has failed before.
            AdapterError: the store failed, and no run was made; but after `CommitUnknown` there may be one, which the
                same call with the same key finds. On a connection, its transaction has failed with it.
        """
        start = Start(input=input, key=key, priority=priority, config=config, annotations=annotations)
        handles = await self.start_many(flow, [start], connection=connection)
        return handles[0]

    async def start_many(
        self, flow: Flow[Any] | str, starts: Sequence[Start], *, connection: CallerConnection | None = None
    ) -> list[RunHandle]:
        """Put many runs of one flow down as pending, all or none of them.

        Args:
            flow: as for `start`.
            starts: what each run is started with.
            connection: as for `start`. Several runs with keys stand behind a savepoint of their own, so that none is
                left of them where one of the keys is in conflict.

        Returns:
            A handle for each start, in their order.

        Raises:
            LimitExceeded: there are none, or more than `START_BATCH_MAX`.
            InvalidArgument: `starts` are no such.
            UsageError: as for `start`, for the first that is wrong.
            AdapterError: as for `start`.
        """
        found = self._registry.find(flow)
        if not all(isinstance(start, Start) for start in starts):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("starts", "a sequence of Start(input=…)", starts)
        require_startable(len(starts))
        if connection is not None:
            callers_of(self.ports.callers)
        await self.register()
        answers = await start_runs(
            self.dispatch if connection is None else self._joining(connection),
            self.ports,
            self._registry.registered_flow(found),
            starts,
            size_bytes_max=self.inline_bytes_max,
        )
        return [self.handle_of(answer.run_id, created=answer.created) for answer in answers]

    async def cancel(self, run_id: str, *, reason: str | None = None) -> CancelledRun:
        """End a run and everything in it that has not ended. It need not be one of this kernel's flows.

        When this returns, nothing of the run begins any more and no result is recorded. Handlers that are running
        learn of it by the next heartbeat of their host: async ones are cancelled, and `ctx.cancelled` is true.

        Args:
            run_id: of the run.
            reason: why, in a few printable words; kept with the run, and told with its `run.cancelled` event.

        Returns:
            What was found, and whether this very call has cancelled the run.

        Raises:
            RunNotFound: there is no such run.
            InvalidArgument: the reason is no printable text, or too long.
            AdapterError: the store failed; the same call may be repeated.
        """
        return await self.dispatch(CancelRun(run_id, reason))

    async def request_cancel(self, run_id: str, *, connection: CallerConnection, reason: str | None = None) -> Deferred:
        """Let a run be cancelled once the caller's transaction has committed, by the next host to look.

        Args:
            run_id: of the run; it may have been started in the same transaction.
            connection: as for `start`. If its transaction rolls back, nothing is cancelled.
            reason: as for `cancel`.

        Raises:
            RunNotFound: there is no such run that the transaction can see.
            InvalidArgument: as for `cancel`.
            UsageError, AdapterError: as for `start` on a connection.
        """
        deferral = await self.dispatch(RequestCancel(connection=connection, run_id=run_id, reason=reason))
        return Deferred(self, deferral.record, created=deferral.created)

    # Reading

    def _joining(self, connection: CallerConnection) -> Callable[[StartRuns], Awaitable[tuple[RunStart, ...]]]:
        return lambda command: self.dispatch(StartRunsOn(connection, command.requests))

    def handle_of(self, run_id: str, *, created: bool) -> RunHandle:
        return RunHandle(run_id, kernel=self, created=created)

    async def runs(
        self, chosen: RunFilter | None = None, *, limit: int = 100, after: RunCursor | None = None
    ) -> RunPage:
        """Runs, newest first, in pages that stay stable while new runs are started.

        Args:
            chosen: which runs; None for all.
            limit: runs per page, 1 to `RUNS_PER_PAGE_MAX`.
            after: `next` of the page before.

        Raises:
            InvalidArgument, LimitExceeded: `limit` is out of bounds, or no run can be what is chosen.
            InvalidAnnotations: no run can be annotated like that.
            AdapterError: the store failed.
        """
        checked_page_limit(limit, RUNS_PER_PAGE_MAX, what="runs per page")
        wanted = checked_runs(chosen or RunFilter())
        return await self.ports.persistence.list_runs(wanted, limit=limit, after=after)


def _checked_size(found: object) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= INLINE_BYTES_LIMIT:
        raise InvalidArgument("inline_bytes_max", f"a number of bytes from 1 to {INLINE_BYTES_LIMIT}", found)
    return found
