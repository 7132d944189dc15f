"""A run, as a test sees and drives it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from attrs import frozen

from ...kernel import (
    AnnotationValue,
    CancelledRun,
    Cause,
    CauseKind,
    Explanation,
    Failure,
    Flow,
    LogEntry,
    RestartedRun,
    RunDetails,
    RunHandle,
    RunStatus,
    SentSignal,
    Step,
    StepStatus,
    Suspend,
)
from ...kernel.codec import JsonValue
from ...kernel.commands.waiting import RESUME_TOKEN_LIFETIME
from ...kernel.definition import StepName
from ...kernel.durations import Duration
from ...kernel.events import Event, decode_event
from ...kernel.plan import StepKind
from ...ports.records import WaitsFor
from ...ports.statuses import TERMINAL_RUN, TERMINAL_TASK
from ..options import checked_duration
from .errors import NoOutput, NotEndedInTime, RealTimeLimit, WaitsForEver, blames_the_test
from .views import AttemptView, StepView, TaskView, attempt_views, failure_of, said, step_record, task_views
from .world import FOR_EVER, Halt, World

__tracebackhide__ = blames_the_test

T = TypeVar("T")


class OnStage(Protocol):
    """Does something in the world of a test."""

    def __call__(self, act: Callable[[World], T], /) -> T: ...


@frozen
class _Seen:
    """What a run looked like after so many moves of its world."""

    moves: int
    details: RunDetails
    attempts: Sequence[AttemptView]


class RunView:
    """One run of a test's flow: everything that became of it, and what a test does with it.

    It shows the run as it stands whenever it is asked. `FlowTest` makes it.
    """

    def __init__(self, on_stage: OnStage, world: World, flow: Flow[Any], handle: RunHandle) -> None:
        self._on_stage = on_stage
        self._world = world
        """Touched on the stage alone; but whether it has moved is seen from everywhere, since it stands still now."""
        self._handle = handle
        self._seen: _Seen | None = None
        self.flow = flow
        """Of which it is a run."""
        self.id = handle.id
        self.created = handle.created
        """Whether the call that returned this made the run; False where its key was known."""

    # What became of it

    @property
    def status(self) -> RunStatus:
        """Where it stands."""
        return self.details.run.status

    @property
    def reason(self) -> str | None:
        """Why it did not complete, in a word."""
        return self.details.run.reason

    @property
    def error(self) -> Failure | None:
        """The error with which it failed."""
        return failure_of(self.details.run.error)

    @property
    def generation(self) -> int:
        """1, and one more after each rerun."""
        return self.details.run.generation

    @property
    def result(self) -> dict[str, JsonValue]:
        """Its output as JSON, by the steps that nothing depends on.

        Raises:
            RunDidNotComplete: it failed or was cancelled.
            NotEndedInTime: it has not ended; let it go on with `wait`.
        """
        if self.status not in TERMINAL_RUN:
            raise self._on_stage(lambda world: self._not_ended(world, 0.0))
        return self._on_stage(lambda world: world.read(self._handle.result()))

    @overload
    def output(self, step: Step[T]) -> T: ...
    @overload
    def output(self, step: Callable[..., Coroutine[Any, Any, AsyncIterable[T] | Iterator[T]]]) -> list[T]: ...
    @overload
    def output(self, step: Callable[..., Coroutine[Any, Any, T | Suspend[Any]]]) -> T: ...
    @overload
    def output(self, step: Callable[..., Iterator[T]]) -> list[T]: ...
    @overload
    def output(self, step: Callable[..., T | Suspend[Any]]) -> T: ...
    @overload
    def output(self, step: str) -> Any: ...
    def output(self, step: Any) -> Any:
        """What a step returned, typed as it declares; what a signal carried.

        Args:
            step: the function, the slug, or the `Step`.

        Raises:
            NoOutput: it was skipped, failed, or is not over.
            IsAMap: it has an output for each element; see `outputs`.
            FlowDefinitionError: the flow has no such step.
        """
        self._require_output(self.step(step))
        return self._on_stage(lambda world: world.read(self._handle.output(step)))

    @overload
    def outputs(self, step: Callable[..., Coroutine[Any, Any, T]]) -> list[T | None]: ...
    @overload
    def outputs(self, step: Callable[..., T]) -> list[T | None]: ...
    @overload
    def outputs(self, step: str | Step[Any]) -> list[Any]: ...
    def outputs(self, step: Any) -> Any:
        """What a map returned for each element, in order; None where a failure was tolerated.

        Raises:
            NoOutput: it failed, or is not over. A map that was skipped has no outputs, an empty list.
            NotAMap: the step has one output.
            FlowDefinitionError: the flow has no such step.
        """
        found = self.step(step)
        if found.status is not StepStatus.SKIPPED:
            self._require_output(found)
        return self._on_stage(lambda world: world.read(self._handle.outputs(step)))

    @overload
    def step(self, step: Step[T]) -> StepView[T]: ...
    @overload
    def step(self, step: Callable[..., Coroutine[Any, Any, T | Suspend[Any]]]) -> StepView[T]: ...
    @overload
    def step(self, step: Callable[..., T | Suspend[Any]]) -> StepView[T]: ...
    @overload
    def step(self, step: str) -> StepView[Any]: ...
    def step(self, step: Any) -> StepView[Any]:
        """One of its steps: how it stands, its tasks and attempts.

        Raises:
            FlowDefinitionError: the flow has no such step; the nearest name is proposed.
        """
        found = self.flow.step_named(step)
        seen = self._now
        record = step_record(seen.details, found.slug)
        generation = seen.details.run.generation if record is None else record.generation
        return StepView(
            slug=found.slug,
            status=StepStatus.CREATED if record is None else record.status,
            generation=generation,
            reason=None if record is None else record.reason,
            error=None if record is None else failure_of(record.error),
            elements=None if record is None or found.kind is not StepKind.MAP else record.elements,
            started_at=None if record is None else record.started_at,
            ended_at=None if record is None else record.ended_at,
            tasks=[each for each in self.tasks if each.step == found.slug and each.generation == generation],
            attempts=[each for each in seen.attempts if each.step == found.slug],
            read=lambda: self.outputs(found) if found.kind is StepKind.MAP else self.output(found),
        )

    @property
    def steps(self) -> Mapping[str, StepView[Any]]:
        """All its steps by slug, in order of definition."""
        return {slug: self.step(slug) for slug in self.flow.steps}

    @property
    def tasks(self) -> Sequence[TaskView]:
        """All tasks, by step in order of definition, then by generation and element."""
        return task_views(self.details)

    @property
    def attempts(self) -> Sequence[AttemptView]:
        """All attempts of all steps, in the order in which they began."""
        return self._now.attempts

    @property
    def events(self) -> Sequence[Event]:
        """What happened, in order: `RunStarted()`, `StepCompleted(step="charge")`, … of `fairlead.kernel.events`."""
        return [decode_event(each) for each in self.details.events]

    @property
    def logs(self) -> Sequence[LogEntry]:
        """What its handlers logged with `ctx.log`."""
        return self.details.logs

    @property
    def annotations(self) -> Mapping[str, AnnotationValue]:
        """What it is found by."""
        return self.details.annotations

    @property
    def details(self) -> RunDetails:
        """Everything that is kept of it, as records."""
        return self._now.details

    def why(self) -> Explanation:
        """Why it stands where it does: what it waits for, and what would move it."""
        return self._on_stage(lambda world: world.read(world.kernel.why(self.id)))

    def report(self) -> str:
        """How it stands, step by step, with every attempt that did not complete."""
        signalled = self._on_stage(self._signalled)
        lines = [f"run {self.id} of {self.flow.slug}, generation {self.generation}: {self._said}"]
        for step in self.steps.values():
            unused = step.status is StepStatus.SKIPPED and step.slug in signalled
            lines.append(f"  {step.said}" + ("; the signal that was sent to it is not used" if unused else ""))
            lines += (f"    {attempt}" for attempt in step.attempts if not attempt.completed)
        return "\n".join(lines)

    def ran_once(self, step: StepName) -> bool:
        """Whether a step ran effectively once; see `assert_ran_once`."""
        return self.step(step).ran_once  # pyright: ignore[reportUnknownMemberType]

    def assert_ran_once(self, step: StepName) -> None:
        """Assert that a step ran effectively once: of each of its tasks exactly one attempt brought its output.

        A rerun makes it twice, a step that did not run or was skipped makes it none. Attempts that failed before do not
        count; `step(…).attempts` has them.

        Raises:
            AssertionError: it did not; the message lists its attempts.
        """
        __tracebackhide__ = True
        found: StepView[Any] = self.step(step)
        if not found.ran_once:
            listed = "".join(f"\n  - {each}" for each in found.attempts) or " it was never called"
            raise AssertionError(f"{found!r} did not run exactly once:{listed}")

    # Driving it

    def wait(self, *, timeout: Duration | None = None) -> RunView:
        """Let it go on to its end, however it ends; waiting takes no real time. Returns itself.

        Args:
            timeout: how much virtual time that may take; None for as much as it needs.

        Raises:
            WaitsForEver: it never will; the message says what it waits for.
            NotEndedInTime: it has not ended then.
            RealTimeLimit: a handler hangs.
            FlowTestProblem: a stub gave what its step does not.
            AssertionError: of a stub, and whatever pytest raises there; of a handler it is a failed attempt.
        """
        allowed_s = virtual_seconds(timeout)
        return self._on_stage(lambda world: self.to_its_end(world, allowed_s))

    def to_its_end(self, world: World, allowed_s: float) -> RunView:
        """As `wait`, for who is on the stage."""

        def ended() -> bool:
            return world.read(self._handle.read()).status in TERMINAL_RUN

        try:
            halt = world.go_on(ended, until_s=world.now_s + allowed_s, forlorn=self._is_forlorn)
        except RealTimeLimit as error:
            causes = (f"the run: {cause}" for cause in self._causes(world))
            raise RealTimeLimit(limit_s=error.limit_s, where=(*causes, *error.where)) from None
        if halt is Halt.IDLE:
            raise WaitsForEver(flow=self.flow.slug, run_id=self.id, causes=self._causes(world))
        if halt is Halt.TIME:
            raise self._not_ended(world, allowed_s)
        self._look(world)
        return self

    @overload
    def signal(self, step: Step[T], payload: T, *, key: str | None = None) -> SentSignal: ...
    @overload
    def signal(self, step: Step[None], payload: None = None, *, key: str | None = None) -> SentSignal: ...
    @overload
    def signal(self, step: str, payload: object = None, *, key: str | None = None) -> SentSignal: ...
    def signal(self, step: Step[Any] | str, payload: object = None, *, key: str | None = None) -> SentSignal:
        """Answer a signal step, which may not wait yet, and let happen what can at once.

        Raises:
            UsageError: as `Kernel.signal` does.
        """
        return self._act(lambda: self._handle.signal(step, payload, key=key))

    def cancel(self, *, reason: str | None = None) -> CancelledRun:
        """End it and everything in it that has not ended. Handlers that run are stopped within a virtual lease."""
        return self._act(lambda: self._handle.cancel(reason=reason))

    def rerun(self, *from_steps: StepName) -> RestartedRun:
        """Begin it anew from some steps, after it has ended, and let happen what can at once; see `wait`.

        Raises:
            UsageError: as `RunHandle.rerun` does.
        """
        return self._act(lambda: self._handle.rerun(*from_steps))

    def retry(self, *steps: StepName) -> RestartedRun:
        """Do again what did not complete, after it has ended, and let happen what can at once; see `wait`.

        Raises:
            UsageError: as `RunHandle.retry` does.
        """
        return self._act(lambda: self._handle.retry(*steps))

    def resume_token(self, step: Step[Any] | str, *, expires_in: Duration = RESUME_TOKEN_LIFETIME) -> str:
        """Make a token with which a signal step is answered once; see `FlowTest.resume`."""
        return self._on_stage(lambda world: world.start(self._handle.resume_token(step, expires_in=expires_in)))

    def __repr__(self) -> str:
        return f"<run of {self.flow.slug}>" if self._seen is None else f"<run of {self.flow.slug}: {self._said}>"

    @property
    def _said(self) -> str:
        """Its status with reason and error, as it was seen last."""
        assert self._seen is not None, "it was looked at"
        run = self._seen.details.run
        return said(run.status, run.reason, failure_of(run.error))

    # How

    def _act(self, command: Callable[[], Coroutine[Any, Any, T]]) -> T:
        def act(world: World) -> T:
            answer = world.start(command())
            world.idle()
            return answer

        return self._on_stage(act)

    @property
    def _now(self) -> _Seen:
        """What it looks like, read again where anything may have happened since."""
        seen = self._seen
        return seen if seen is not None and seen.moves == self._world.moves else self._on_stage(self._look)

    def _look(self, world: World) -> _Seen:
        details = world.read(self._handle.details())
        attempts = attempt_views(details, world.arrangements.attempts_of(self.id))
        self._seen = _Seen(world.moves, details, attempts)
        return self._seen

    def _signalled(self, world: World) -> frozenset[str]:
        """The steps to which signals were sent."""
        return frozenset(each.step for each in world.read(world.ports.persistence.read_signals(self.id)))

    def _is_forlorn(self, world: World) -> bool:
        """Whether it waits for somebody and no other run goes on that might answer."""
        details = world.read(self._handle.details())
        waiting = [task for task in details.tasks if task.status not in TERMINAL_TASK]
        if details.run.deadline_at is not None or not waiting:
            return False
        forlorn = all(task.waits_for is WaitsFor.SIGNAL and task.wake_at is None for task in waiting)
        return forlorn and world.live_runs == 1

    def _causes(self, world: World) -> tuple[str, ...]:
        causes = world.read(world.kernel.why(self.id)).causes
        return tuple(f"{cause.what}: {self._remedy(cause)}" for cause in causes)

    def _remedy(self, cause: Cause) -> str:
        """What a test does about a cause; the kernel speaks to operators."""
        if cause.kind is not CauseKind.SIGNAL or cause.step is None:
            return cause.remedy
        payload = self.flow.steps[cause.step].output.name
        return (
            f"pass signals={{{cause.step!r}: …}} to run(), or begin with start() and answer with "
            f"run.signal({cause.step!r}, …); it takes {payload}"
        )

    def _require_output(self, step: StepView[Any]) -> None:
        if step.status is not StepStatus.COMPLETED:
            raise NoOutput(step=step.slug, status=step.status, reason=step.reason, run=repr(self))

    def _not_ended(self, world: World, waited_s: float) -> NotEndedInTime:
        causes = (*self._causes(world), *world.places())
        return NotEndedInTime(flow=self.flow.slug, run_id=self.id, waited_s=waited_s, causes=causes)


def virtual_seconds(timeout: Duration | None) -> float:
    """How long something may take.

    Raises:
        HostOptionError: it is no duration.
    """
    return FOR_EVER if timeout is None else checked_duration("timeout", timeout, least_s=0)
