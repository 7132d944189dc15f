"""`FlowTest`: a world for one test, in which flows run in memory and in virtual time."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from ...kernel import AnnotationValue, Flow, Kernel, Schedule, SentSignal
from ...kernel.durations import Duration
from ...kernel.events import PublishedEvent, decode_published, event_records
from ...kernel.shown import shown
from ...ports.reading import RunFilter
from ...ports.sink import EventSink
from ..errors import HostOptionError
from ..options import checked_duration
from ..virtual import START
from .arranging import Arrangement
from .errors import FlowTestOver, LeftBehind, blames_the_test
from .run import RunView, virtual_seconds
from .stage import Stage
from .stubs import Stubs, stub_bindings
from .world import TestResources, World

__tracebackhide__ = blames_the_test

T = TypeVar("T")

REAL_LIMIT = timedelta(seconds=30)
"""How long one call may take in real time, unless told otherwise: a thousand times what a flow needs."""

RUNS_MAX = 1_000
"""Runs that `FlowTest.runs` lists."""


class FlowTest:
    """A world of its own for one test: `with FlowTest() as flow_test: …`, or the pytest fixture `flow_test`.

    Flows run on the in-memory adapters and a real host, so what a test sees is what happens elsewhere. The time is
    virtual: delays of retries, sleeps and timeouts pass at once, in their order, and each thing happens at its time.
    All methods block; they may be called in async tests too. Nothing happens between two calls.

    Args:
        resources: what handlers of every run ask for with `Resource[…]`; each run may have further ones.
        now: the wall time at which the world begins; aware.
        real_limit: how long one call may take in real time, before a handler that hangs is reported.
        sink: where events are published, as for `memory_ports`.

    Raises:
        HostOptionError: `real_limit` is no duration, `now` is no aware datetime, or `sink` publishes nothing.
    """

    def __init__(
        self,
        *,
        resources: TestResources | None = None,
        now: datetime = START,
        real_limit: Duration = REAL_LIMIT,
        sink: EventSink | Mapping[str, EventSink] | None = None,
    ) -> None:
        if not isinstance(now, datetime) or now.utcoffset() is None:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise HostOptionError("now", f"an aware datetime, such as {START!r}; found {now!r}")
        for each in () if sink is None else sink.values() if isinstance(sink, Mapping) else (sink,):
            if not hasattr(each, "publish"):
                raise HostOptionError("sink", f"an EventSink, or several by name; found {shown(each)}")
        self._resources = resources
        self._start = now
        self._real_limit_s = checked_duration("real_limit", real_limit, least_s=0.01)
        self._sink = sink
        self._stage: Stage | None = None
        self._world: World | None = None
        self._problem = "this FlowTest is not open"

    def __enter__(self) -> Self:
        if self._stage is not None:
            raise FlowTestOver("this FlowTest is open already")
        self._stage = stage = Stage(self._real_limit_s)
        try:
            self._world = stage.perform(self._new_world)
        except BaseException:
            self._leave()
            raise
        return self

    def _new_world(self) -> World:
        assert self._stage is not None, "it was set up before"
        world = World(self._stage, start=self._start, sink=self._sink)
        self._stage.when_back = world.close
        world.arrangements.resources = world.open(self._resources)
        return world

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stage, left = self._stage, list[str]()
        try:
            if stage is not None and not stage.lost:
                left = self._on_stage(lambda world: world.close())
        finally:
            self._leave()
        if stage is not None and not stage.lost:
            left += stage.where()
        if left:
            listed = "".join(f"\n  - {each}" for each in left)
            warnings.warn(f"handlers began what goes on after them and their test:{listed}", LeftBehind, stacklevel=2)

    def _leave(self) -> None:
        if self._stage is not None:
            self._stage.close()
        self._stage = self._world = None
        self._problem = "this FlowTest is over"

    # Runs

    @overload
    def run(
        self,
        flow: Flow[None],
        input: None = None,
        *,
        stub: Stubs | None = None,
        resources: TestResources | None = None,
        config: Mapping[str, object] | None = None,
        signals: Mapping[Any, object] | None = None,
        key: str | None = None,
        priority: int = 0,
        annotations: Mapping[str, AnnotationValue] | None = None,
        timeout: Duration | None = None,
    ) -> RunView: ...
    @overload
    def run(
        self,
        flow: Flow[T],
        input: T,
        *,
        stub: Stubs | None = None,
        resources: TestResources | None = None,
        config: Mapping[str, object] | None = None,
        signals: Mapping[Any, object] | None = None,
        key: str | None = None,
        priority: int = 0,
        annotations: Mapping[str, AnnotationValue] | None = None,
        timeout: Duration | None = None,
    ) -> RunView: ...
    def run(
        self,
        flow: Flow[Any],
        input: object = None,
        *,
        stub: Stubs | None = None,
        resources: TestResources | None = None,
        config: Mapping[str, object] | None = None,
        signals: Mapping[Any, object] | None = None,
        key: str | None = None,
        priority: int = 0,
        annotations: Mapping[str, AnnotationValue] | None = None,
        timeout: Duration | None = None,
    ) -> RunView:
        """Run a flow to its end, however it ends, and return what became of it.

        Args:
            flow: which.
            input: a value of the flow's input type, or JSON that fits it.
            stub: what stands in the place of handlers and checks, by function, name or `Step`: the output, an exception
                that is raised, a function that is called with those of the handler's arguments that it names, or
                `in_turn(…)` for another one at each attempt. A map is stubbed with the output of one element, or a
                function of `item` or `index`. What a stub gives must fit the step, as what a handler returns.
            resources: what handlers ask for, beside those of the `FlowTest`: by name, or a function that makes them or
                an async context manager of them. Steps that are stubbed need none.
            config: settings by step, as for `Kernel.start`.
            signals: answers to signal steps, which are there before the run begins.
            key: makes the start repeatable, as for `Kernel.start`. A run that exists already keeps its stubs.
            priority: of the run.
            annotations: what the run is found by.
            timeout: how much virtual time it may take; None for as much as it needs.

        Raises:
            NotAFlow: it is a step, say.
            UnknownStub, InvalidStub, RunNeedsResources: what stands in for handlers, or what they are given, is wrong.
            HostOptionError: `stub` or `signals` is no mapping.
            UsageError: as `Kernel.start` and `Kernel.signal` do.
            WaitsForEver: the run waits for something that no time brings; the message says for what.
            NotEndedInTime: it has not ended after `timeout`; `runs()` has it, and its `wait()` goes on.
            RealTimeLimit: a handler hangs.

        Warns:
            Blocking: a handler takes seconds of real time.
        """
        allowed_s = virtual_seconds(timeout)
        begin = self._beginning(
            flow,
            input,
            stub,
            resources,
            signals,
            config=config,
            key=key,
            priority=priority,
            annotations=annotations,
        )
        return self._on_stage(lambda world: begin(world).to_its_end(world, allowed_s))

    @overload
    def start(
        self,
        flow: Flow[None],
        input: None = None,
        *,
        stub: Stubs | None = None,
        resources: TestResources | None = None,
        config: Mapping[str, object] | None = None,
        signals: Mapping[Any, object] | None = None,
        key: str | None = None,
        priority: int = 0,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> RunView: ...
    @overload
    def start(
        self,
        flow: Flow[T],
        input: T,
        *,
        stub: Stubs | None = None,
        resources: TestResources | None = None,
        config: Mapping[str, object] | None = None,
        signals: Mapping[Any, object] | None = None,
        key: str | None = None,
        priority: int = 0,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> RunView: ...
    def start(
        self,
        flow: Flow[Any],
        input: object = None,
        *,
        stub: Stubs | None = None,
        resources: TestResources | None = None,
        config: Mapping[str, object] | None = None,
        signals: Mapping[Any, object] | None = None,
        key: str | None = None,
        priority: int = 0,
        annotations: Mapping[str, AnnotationValue] | None = None,
    ) -> RunView:
        """Start a run and return at once; arguments and errors are those of `run`.

        It goes on with `run_until_idle`, `advance`, and what is done with the `RunView`.
        """
        begin = self._beginning(
            flow,
            input,
            stub,
            resources,
            signals,
            config=config,
            key=key,
            priority=priority,
            annotations=annotations,
        )
        return self._on_stage(begin)

    def _beginning(
        self,
        flow: Flow[Any],
        input: object,
        stub: Stubs | None,
        resources: TestResources | None,
        signals: Mapping[Any, object] | None,
        **start: Any,
    ) -> Callable[[World], RunView]:
        """What starts a run in the world, with all that the test gives it."""
        _require_mapping("stub", stub)
        _require_mapping("signals", signals)

        def begin(world: World) -> RunView:
            world.use(flow)
            stubs = stub_bindings(flow, stub or {})
            usual = world.arrangements.default(flow)
            arrangement = Arrangement({**usual.stubs, **stubs}, {**usual.resources, **world.open(resources)})
            arrangement.check(flow)
            with world.arrangements.starting(arrangement):
                handle = world.start(world.kernel.start(flow, input, **start))
            for step, payload in (signals or {}).items():
                world.start(handle.signal(step, payload))
            return RunView(self._on_stage, world, flow, handle)

        return begin

    def runs(self, flow: Flow[Any] | None = None) -> list[RunView]:
        """All runs, or those of a flow, in the order in which they were started: by schedules and handlers too."""

        def runs(world: World) -> list[RunView]:
            chosen = None
            if flow is not None:
                world.use(flow)
                chosen = RunFilter(flow=flow.slug)
            page = world.read(world.kernel.runs(chosen, limit=RUNS_MAX))
            kernel = world.kernel
            found = [(kernel.find_flow(each.flow, each.version), kernel.run(each.id)) for each in reversed(page.runs)]
            return [RunView(self._on_stage, world, each, handle) for each, handle in found]

        return self._on_stage(runs)

    def report(self) -> str:
        """What became of all runs so far, step by step, for people: the fixture shows it where a test fails."""
        return "\n".join(run.report() for run in self.runs())

    def resume(self, token: str, payload: object = None) -> SentSignal:
        """Answer the signal step that a resume token is for, and let happen what can at once.

        Raises:
            UsageError: as `Kernel.resume` does.
        """

        def resume(world: World) -> SentSignal:
            sent = world.start(world.kernel.resume(token, payload))
            world.idle()
            return sent

        return self._on_stage(resume)

    # Time

    @property
    def now(self) -> datetime:
        """The wall time in this world."""
        return self._on_stage(lambda world: world.clock.now())

    def advance(self, duration: Duration) -> None:
        """Let virtual time pass, and everything happen that is due by then.

        Args:
            duration: how much; a `timedelta` or seconds.

        Raises:
            HostOptionError: it is no duration.
            RealTimeLimit: a handler hangs.
        """
        passing_s = checked_duration("duration", duration, least_s=0)
        self._on_stage(lambda world: world.advance(passing_s))

    def run_until_idle(self) -> None:
        """Let happen everything that can without waiting for a time or for somebody: what is ready runs to its end.

        Handlers that run are let end. Where they sleep or wait, virtual time passes, and what is due by then happens.
        """
        self._on_stage(lambda world: world.idle())

    # What runs are given, and what they do

    def use(self, *flows: Flow[Any]) -> None:
        """Let flows be run that handlers or `kernel` start; `run`, `start` and `schedule` do it for theirs.

        Raises:
            FlowDefinitionError: one cannot be sealed, or another one has its slug and version.
        """
        self._on_stage(lambda world: world.use(*flows))

    def provide(self, resources: TestResources | None) -> None:
        """Give handlers of all runs that are started from now on further resources."""

        def provide(world: World) -> None:
            found = world.open(resources)
            world.arrangements.resources = {**world.arrangements.resources, **found}

        self._on_stage(provide)

    def stub(self, flow: Flow[Any], stub: Stubs) -> None:
        """Stub steps in all runs of a flow that begin from now on, whoever starts them; what `run` is given goes first.

        Raises:
            UnknownStub, InvalidStub, HostOptionError: as for `run`.
        """
        _require_mapping("stub", stub)

        def arrange(world: World) -> None:
            world.use(flow)
            world.arrangements.arrange(flow, stub_bindings(flow, stub))

        self._on_stage(arrange)

    def schedule(
        self,
        flow: Flow[Any],
        *,
        cron: str,
        input: object = None,
        name: str | None = None,
        zone: str = "UTC",
        config: Mapping[str, object] | None = None,
    ) -> Schedule:
        """Start runs of a flow at the ticks of a cron expression, as `Kernel.schedule` does, when the time advances.

        `runs` lists them. What else a schedule can do is called with `call`: `flow_test.call(schedule.pause())`.
        """

        def schedule(world: World) -> Schedule:
            world.use(flow)
            scheduling = world.kernel.schedule(flow, cron=cron, input=input, name=name, zone=zone, config=config)
            return world.start(scheduling)

        return self._on_stage(schedule)

    @property
    def events(self) -> list[PublishedEvent]:
        """The events of all runs, typed, by time; `RunView.events` has those of one."""

        def read(world: World) -> list[PublishedEvent]:
            page = world.read(world.kernel.runs(limit=RUNS_MAX))
            rows = [row for run in page.runs for row in world.read(world.ports.persistence.read_events(run.id))]
            records = [record for row in rows for record in event_records(row)]
            records.sort(key=lambda record: (record.at, record.run_id, record.sequence))
            return [decode_published(record) for record in records]

        return self._on_stage(read)

    @property
    def kernel(self) -> Kernel:
        """The kernel of all flows that are used so far: a resource for handlers, and what `call` calls."""
        return self._on_stage(lambda world: world.kernel)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine in this world, and return what it returns: `call(flow_test.kernel.doctor())`.

        Virtual time passes as far as it waits.

        Raises:
            HostOptionError: it is no coroutine.
            Deadlock: it waits for something that will never be.
            RealTimeLimit: it takes too long.
        """
        given: object = coroutine
        if not inspect.iscoroutine(given):
            raise HostOptionError(
                "call()", f"a coroutine, as flow_test.kernel.doctor() makes one; found {shown(given)}"
            )
        try:
            return self._on_stage(lambda world: world.call(coroutine))
        finally:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # nobody will await it any more

    def _on_stage(self, act: Callable[[World], T]) -> T:
        stage, world = self._stage, self._world
        if stage is None or world is None:
            raise FlowTestOver(self._problem)
        return stage.perform(lambda: act(world))


def _require_mapping(option: str, value: object) -> None:
    """Refuse what does not say what each step is given."""
    if value is not None and not isinstance(value, Mapping):
        raise HostOptionError(option, f"a mapping, {{step: …}}; found {shown(value)}")
