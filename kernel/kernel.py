"""`Kernel`: the commands and readings of one set of flows over one set of ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from attrs import evolve, frozen

from ..ports import Ports
from ..ports.persistence import Persistence
from ..ports.reading import RunCursor, RunFilter, RunPage
from .arrays import MissingArray, missing_arrays
from .commands import CancelledRun, CancelRun, Command, RunRequest, StartRuns
from .definition import Flow
from .definition.config import join_config
from .definition.unknown_fields import unknown_fields
from .dispatch import Dispatcher
from .errors import InvalidArgument, InvalidInput, LimitExceeded, PayloadError
from .facts import facts_of
from .plan import INPUT, Plan
from .registry import Registry
from .runs import RunHandle

T = TypeVar("T")
Result = TypeVar("Result")

RUNS_PER_PAGE_MAX = 1_000
"""Runs in one page of `list_runs`."""

PRIORITY_MAX = 32_767
"""The largest absolute value of a priority: what a small integer column holds."""

KEY_LENGTH_MAX = 512
"""Characters of an idempotency key: enough for any composed business key, short enough for an index."""


@frozen(kw_only=True)
class Start:
    """One of many runs to start, as `Kernel.start_many` takes them."""

    input: object
    key: str | None = None
    priority: int = 0
    config: Mapping[str, object] | None = None


class Kernel:
    """Decides what happens to flows, runs, steps and tasks; everything else it asks of its ports.

    A kernel opens nothing when it is made. Its flows are registered with the store by the first call that needs them
    there. Several kernels in one process know nothing of each other.

    Args:
        flows: the flows this process knows; each is sealed. Of one (slug, version) there is one flow.
        ports: an adapter for each port.

    Raises:
        FlowDefinitionError: a flow cannot be sealed, or two flows share slug and version.
    """

    def __init__(self, *, flows: Iterable[Flow[Any]], ports: Ports) -> None:
        self.ports = ports
        self._registry = Registry(flows)
        self._dispatcher = Dispatcher(self._registry, ports)

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
        other = object.__new__(Kernel)
        other.ports = evolve(self.ports, persistence=persistence)
        other._registry = self._registry
        other._dispatcher = Dispatcher(self._registry, other.ports)
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

    async def register(self) -> None:
        """Register the shapes of all flows with the store; repeating it costs nothing.

        Raises:
            FlowShapeConflict: the store has another shape under a flow's slug and version.
        """
        if not self._registry.registered:
            await self._registry.register(self.ports.persistence, self.ports.clock)

    def find_flow(self, slug: str, version: int | str | None = None) -> Flow[Any]:
        """The flow of that slug, in its newest version or the one named.

        Raises:
            UnknownFlow: this kernel has none.
        """
        return self._registry.find(slug, version)

    def flow_of(self, flow_id: int) -> Flow[Any]:
        """The flow that a claimed task belongs to."""
        return self._registry.by_id[flow_id].flow

    def plan_of(self, flow_id: int) -> Plan:
        """The plan of the flow that a claimed task belongs to."""
        return self._registry.plans[flow_id]

    # Commands

    async def dispatch(self, command: Command[Result]) -> Result:
        """Carry out a command; see `Dispatcher.dispatch` for its errors."""
        if command.needs_flows:
            await self.register()
        return await self._dispatcher.dispatch(command)

    @overload
    async def start(
        self,
        flow: Flow[T],
        input: T,
        *,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
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
    ) -> RunHandle: ...
    async def start(
        self,
        flow: Flow[Any] | str,
        input: object,
        *,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
    ) -> RunHandle:
        """Put a run down as pending. When this returns, the run is durable.

        Args:
            flow: the flow, or the slug of one; a slug means its newest version.
            input: a value of the flow's input type, or JSON that fits it.
            key: makes the call repeatable: the same key and payload give the same run, for this flow, for as long
                as the run is kept.
            priority: higher is claimed first, within a queue.
            config: settings by step, merged over the defaults of their classes.

        Raises:
            UnknownFlow: the kernel does not have it.
            InvalidInput: input or config do not fit; every problem is listed with its path, and no run was made.
            IdempotencyConflict: the key was used with another payload.
        """
        handles = await self.start_many(flow, [Start(input=input, key=key, priority=priority, config=config)])
        return handles[0]

    async def start_many(self, flow: Flow[Any] | str, starts: Sequence[Start]) -> list[RunHandle]:
        """Put many runs of one flow down as pending, all or none of them. Errors as for `start`."""
        found = self._registry.find(flow)
        if not all(isinstance(start, Start) for start in starts):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("starts", "a sequence of Start(input=…)", starts)
        await self.register()
        flow_id = self._registry.registered_flow(found).flow_id
        requests = tuple(_request(found, flow_id, start) for start in starts)
        answers = await self.dispatch(StartRuns(requests))
        return [self._handle(answer.run_id, created=answer.created) for answer in answers]

    async def cancel(self, run_id: str, *, reason: str | None = None) -> CancelledRun:
        """End a run and everything in it that has not ended. It need not be one of this kernel's flows.

        When this returns, nothing of the run begins any more and no result is recorded. Handlers that are running
        learn of it by the next heartbeat of their host: async ones are cancelled, `ctx.cancelled` is raised.

        Args:
            run_id: of the run.
            reason: why, in a few printable words; kept with the run, and told with its `run.cancelled` event.

        Returns:
            What was found. It is true where this call has cancelled the run, and false where the run had ended before.

        Raises:
            RunNotFound: there is no such run.
            InvalidArgument: the reason is no printable text, or too long.
        """
        return await self.dispatch(CancelRun(run_id, reason))

    # Reading

    def run(self, run_id: str) -> RunHandle:
        """A handle on a run that was started earlier or elsewhere.

        Raises:
            InvalidArgument: `run_id` is no text.
        """
        if not isinstance(run_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("run_id", "text", run_id)
        return self._handle(run_id, created=False)

    async def list_runs(
        self, chosen: RunFilter | None = None, *, limit: int = 100, after: RunCursor | None = None
    ) -> RunPage:
        """Runs, newest first, in pages that stay stable while new runs are started.

        Args:
            chosen: which runs; None for all.
            limit: runs per page, 1 to `RUNS_PER_PAGE_MAX`.
            after: `next` of the page before.
        """
        if isinstance(limit, bool) or not isinstance(limit, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("limit", "an int", limit)
        if not 1 <= limit <= RUNS_PER_PAGE_MAX:
            raise LimitExceeded(what="runs per page", limit=RUNS_PER_PAGE_MAX, found=limit)
        return await self.ports.persistence.list_runs(chosen or RunFilter(), limit=limit, after=after)

    def _handle(self, run_id: str, *, created: bool) -> RunHandle:
        return RunHandle(
            run_id, ports=self.ports, find_flow=self._registry.find, dispatch=self.dispatch, created=created
        )


def _request(flow: Flow[Any], flow_id: int, start: Start) -> RunRequest:
    """Validate everything about one start, and report all that is wrong with it at once."""
    problems: list[tuple[str, str]] = [*_key_problems(start.key), *_priority_problems(start.priority)]
    data, config = b"null", None
    problems += unknown_fields(flow.input_schema, start.input)
    try:
        data = flow.input_schema.encode(start.input)
    except PayloadError as error:
        problems += error.problems
    try:
        config = join_config(flow.merge_config(start.config))
    except PayloadError as error:
        problems += ((f"config {path}", problem) for path, problem in error.problems)
    facts = None if problems else facts_of(flow.plan.questions[INPUT], data)
    if not problems:
        problems += (("$" + each.source.dotted.removeprefix(INPUT), str(each)) for each in _starved(flow, facts))
    if problems:
        raise InvalidInput(tuple(problems), what=f"start of flow {flow.slug!r} (version {flow.version})")
    return RunRequest(flow_id=flow_id, input=data, config=config, facts=facts, key=start.key, priority=start.priority)


def _starved(flow: Flow[Any], facts: bytes | None) -> Iterable[MissingArray]:
    """The maps over the input that find no array there; of several over one place, the first."""
    found = {each.source.dotted: each for each in reversed([*missing_arrays(flow.plan, INPUT, facts)])}
    return reversed(found.values())


def _key_problems(key: object) -> Iterable[tuple[str, str]]:
    if key is None:
        return
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_LENGTH_MAX:
        yield "key", f"must be text of 1 to {KEY_LENGTH_MAX} characters"
    elif "\0" in key or not key.isprintable():
        yield "key", "must be printable text, without control characters"


def _priority_problems(priority: object) -> Iterable[tuple[str, str]]:
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > PRIORITY_MAX:
        yield "priority", f"must be an int from -{PRIORITY_MAX} to {PRIORITY_MAX}, not {priority!r}"
