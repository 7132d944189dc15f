"""How the runs of a test are arranged: what stands in for their handlers, and what these are given.

The host asks `ArrangedExecutables` what it should call for a claimed task. It gets the handler of the flow, or the stub
that the run's `Arrangement` has in its place, and in either case one that keeps an account of the attempt.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any

from attrs import define, evolve, field, frozen

from ...kernel import Context, Flow, Kernel
from ...kernel.definition.binding import Binding, Streamed
from ...ports.clock import Clock
from ...ports.records import ClaimedTask, Lease, TaskPhase
from ..executables import Executable, Executables
from ..producing import elements_in
from ..resources import resource_problem
from ..virtual.places import place_of_error
from .errors import FlowTestProblem, InvalidStub, RunNeedsResources, blames_the_test
from .stubs import Place, Stub, misfit_of

__tracebackhide__ = blames_the_test

NOTHING: Mapping[Any, Any] = {}

_STARTING: contextvars.ContextVar[Arrangement | None] = contextvars.ContextVar("fairlead_arrangement", default=None)
"""How the run is arranged that is being started in this context."""


@define(eq=False)
class AttemptAccount:
    """One attempt, as it was seen from beside its handler."""

    task: ClaimedTask
    began_at: datetime
    stubbed: bool
    arguments: Mapping[str, object] = NOTHING
    ended_at: datetime | None = None
    returned: object = None
    raised: BaseException | None = None
    place: str | None = None
    """Where in a user's code it raised, or was stopped."""

    def __str__(self) -> str:
        check = "check at " if self.task.phase is TaskPhase.CHECK else ""
        return f"step {self.task.key.step!r}, {check}attempt {self.task.attempt},"

    @property
    def lease(self) -> Lease:
        """What the store knows it by."""
        return Lease(self.task.key, self.task.token)


@frozen
class Arrangement:
    """How one run, or every run of a flow, is arranged."""

    stubs: Mapping[Place, tuple[Binding, ...]] = NOTHING
    resources: Mapping[str, object] = NOTHING
    attempts: list[AttemptAccount] = field(factory=list[AttemptAccount], init=False)
    """In the order in which they began."""

    def turn(self, task: ClaimedTask) -> Binding | None:
        """The stub that the next attempt at a task meets."""
        stubs = self.stubs.get((task.key.step, task.phase))
        if stubs is None:
            return None
        before = sum(each.task.key == task.key and each.task.phase is task.phase for each in self.attempts)
        return stubs[min(before, len(stubs) - 1)]

    def check(self, flow: Flow[Any]) -> None:
        """See that everything is there that handlers and stubs ask for.

        Raises:
            RunNeedsResources: something is missing, or of another class.
        """
        problems = tuple(
            f"flow {flow.slug!r}, {binding.whose}, parameter {name!r}: {problem}"
            for binding in self._bindings(flow)
            for name, wanted in binding.resources.items()
            if (problem := resource_problem(name, wanted, self.resources)) is not None
        )
        if problems:
            raise RunNeedsResources(problems)

    def _bindings(self, flow: Flow[Any]) -> Iterator[Binding]:
        for step in flow.steps.values():
            check = None if step.check is None else step.check.binding
            for phase, binding in ((TaskPhase.RUN, step.binding), (TaskPhase.CHECK, check)):
                if binding is not None:
                    yield from self.stubs.get((step.slug, phase), (binding,))


class Arrangements:
    """Those of all runs in one world."""

    def __init__(self, clock: Clock, new_id: Callable[[], str]) -> None:
        self.clock = clock
        self._new_id = new_id
        self._stubs: dict[Flow[Any], Mapping[Place, tuple[Binding, ...]]] = {}
        self._of_run: dict[str, Arrangement] = {}
        self.resources: Mapping[str, object] = NOTHING
        """What every run is given, beside its own."""
        self.problem: BaseException | None = None
        """What a test is to be told of something that went wrong inside a run."""

    @contextmanager
    def starting(self, arrangement: Arrangement) -> Generator[None]:
        """Runs that are started within the context are arranged so, before any host can know of them."""
        token = _STARTING.set(arrangement)
        try:
            yield
        finally:
            _STARTING.reset(token)

    def new_id(self) -> str:
        """The source of run ids."""
        run_id = self._new_id()
        arrangement = _STARTING.get()
        if arrangement is not None:
            self._of_run[run_id] = arrangement
        return run_id

    def arrange(self, flow: Flow[Any], stubs: Mapping[Place, tuple[Binding, ...]]) -> None:
        """Stub steps in all further runs of a flow, those that schedules and handlers start among them."""
        self._stubs[flow] = {**self._stubs.get(flow, NOTHING), **stubs}

    def default(self, flow: Flow[Any]) -> Arrangement:
        """How a run of a flow is arranged where nothing else is said."""
        return Arrangement(self._stubs.get(flow, NOTHING), self.resources)

    def of_run(self, run_id: str, flow: Flow[Any]) -> Arrangement:
        """How a run is arranged.

        Raises:
            RunNeedsResources: nobody arranged it, and what is usual for its flow does not do.
        """
        found = self._of_run.get(run_id)
        if found is None:
            found = self.default(flow)
            self.noted(lambda: found.check(flow))
            self._of_run[run_id] = found
        return found

    def noted(self, check: Callable[[], None]) -> None:
        """Carry out a check, and keep for the test what it raises."""
        try:
            check()
        except (FlowTestProblem, RunNeedsResources) as problem:
            self.problem = self.problem or problem
            raise

    def attempts_of(self, run_id: str) -> list[AttemptAccount]:
        """The attempts at tasks of a run."""
        arrangement = self._of_run.get(run_id)
        return [] if arrangement is None else [each for each in arrangement.attempts if each.task.key.run_id == run_id]


class ArrangedExecutables(Executables):
    """What a host calls for the tasks of arranged runs."""

    def __init__(self, kernel: Kernel, arrangements: Arrangements) -> None:
        super().__init__(kernel)
        self._flow_of = kernel.flow_of
        self._arrangements = arrangements
        self._stubbed: dict[int, tuple[Binding, Executable]] = {}
        """By the identity of the stub, which is kept beside."""

    def check(self, resources: Mapping[str, object], *, queues: Iterable[str]) -> None:
        """Nothing: each run has its own resources, which are checked when it begins."""

    def of(self, task: ClaimedTask) -> Executable:
        """What is called for a claimed task: the handler or its stub, watched."""
        arrangement = self._arrangements.of_run(task.key.run_id, self._flow_of(task.flow_id))
        stub = arrangement.turn(task)
        executable = super().of(task) if stub is None else self._with_stub(task, stub)
        account = AttemptAccount(task, self._arrangements.clock.now(), stubbed=stub is not None)
        arrangement.attempts.append(account)
        watching = _Watching(executable, account, self._arrangements)
        return evolve(executable, binding=_watched(executable.binding, watching, arrangement.resources))

    def _with_stub(self, task: ClaimedTask, stub: Binding) -> Executable:
        if id(stub) not in self._stubbed:
            step = self._flow_of(task.flow_id).steps[task.key.step]
            checked = None if step.check is None else step.check.streamed
            yields = step.streamed if task.phase is TaskPhase.RUN else checked
            self._stubbed[id(stub)] = (stub, self.made(task.flow_id, step.slug, task.phase, stub, yields))
        return self._stubbed[id(stub)][1]


@frozen(kw_only=True, eq=False)
class _Watched(Binding):
    """A handler, or its stub, with what its run gives it."""

    account: AttemptAccount
    given: Mapping[str, object]

    def arguments(
        self,
        values: Mapping[str, bytes | Streamed | None],
        context: Context,
        resources: Mapping[str, object] = NOTHING,
    ) -> dict[str, object]:
        """As for every binding, with the resources of the run."""
        arguments = super().arguments(values, context, self.given)
        self.account.arguments = dict(arguments)
        return arguments


def _watched(binding: Binding, watching: _Watching, given: Mapping[str, object]) -> Binding:
    welcome = binding.welcome if isinstance(binding, Stub) else NOTHING
    return _Watched(
        step=binding.step,
        check=binding.check,
        handler=watching.awaited if binding.is_async else watching.called,
        is_async=binding.is_async,
        payloads=binding.payloads,
        contexts=binding.contexts,
        index=binding.index,
        resources={**binding.resources, **{name: kind for name, kind in welcome.items() if name in given}},
        account=watching.account,
        given=given,
    )


@frozen
class _Watching:
    """Calls a handler or its stub, and keeps an account of it."""

    executable: Executable
    account: AttemptAccount
    arrangements: Arrangements

    async def awaited(self, **arguments: object) -> object:
        """Call what is async."""
        handler: Any = self.executable.binding.handler
        try:
            value = await handler(**arguments)
        except BaseException as error:
            self._raised(error)
            raise
        return self._returned(value)

    def called(self, **arguments: object) -> object:
        """Call a plain function."""
        try:
            value = self.executable.binding.handler(**arguments)
        except BaseException as error:
            self._raised(error)
            raise
        return self._returned(value)

    def _raised(self, error: BaseException) -> None:
        self.account.raised, self.account.ended_at = error, self.arrangements.clock.now()
        self.account.place = place_of_error(error)
        if self.account.stubbed and _is_of_the_test(error):
            self.arrangements.problem = self.arrangements.problem or error

    def _returned(self, value: object) -> object:
        self.account.returned, self.account.ended_at = value, self.arrangements.clock.now()
        if self.account.stubbed and elements_in(self.executable, value) is None:
            self.arrangements.noted(lambda: self._check(value))
        return value

    def _check(self, value: object) -> None:
        step = self.executable.step
        misfit = misfit_of(step, value)
        if misfit is not None:
            raise InvalidStub(flow=self.executable.flow, step=step.slug, problem=misfit)


def attempt_called_in(frame: FrameType) -> AttemptAccount | None:
    """The attempt whose handler is called in a frame; None where it is another one."""
    if frame.f_code not in (_Watching.called.__code__, _Watching.awaited.__code__):
        return None
    watching: _Watching = frame.f_locals["self"]
    return watching.account


def _is_of_the_test(error: BaseException) -> bool:
    """Whether a stub has failed as a test does, by an assertion or by what pytest raises."""
    if isinstance(error, Exception):
        return isinstance(error, AssertionError)
    return not isinstance(error, asyncio.CancelledError | GeneratorExit)
