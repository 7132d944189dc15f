"""One run, advanced in memory: the state machine that every decision drives.

`RunProgress` is built from the rows that were loaded under the run's lock. Its methods apply the rules for tasks,
steps and the run, collect events and new tasks, and keep all counters; `write` adds the outcome to a transaction's
changes. It is mutable while a decision lasts and never leaves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ...ports.changes import Cancellation
from ...ports.records import ElementRequest, SignalRow, TaskKey, TaskRow, WaitsFor
from ...ports.statuses import RunStatus, StepStatus
from ..arrays import MissingArray
from ..elements import Kind
from ..events import (
    Event,
    RunCompleted,
    RunFailed,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepResumed,
    StepSkipped,
    StepStarted,
    StepSuspended,
    as_raw,
)
from ..facts import NULL, array_length, facts_of, joined_facts
from ..failures import Exceeded, encode_failure, with_exceeded
from ..plan import INPUT, Consequence, Plan, StepKind, StepPlan, ValuePath
from ..sleeps import MissingTime
from ..transitions import RunTrigger, StepTrigger, run_after, step_after
from .handover import HandOver
from .insertion import Insertion
from .readiness import DEPENDENCY_SKIPPED, hindrance
from .retrying import later
from .rows import event_batch, rerun, run_update, step_write
from .state import ChangeSet, RunState, StepState, StepStates
from .waits import BORN, TIMED_OUT, Waits, end_of_sleep, waited_for

HANDLER_FAILED = "handler_failed"

NEVER_EXCUSED = frozenset({"not_an_array", "not_a_time", "internal_error"})
"""Reasons of failures that are defects, of the flow or of these rules: neither tolerance nor `on_exhausted` covers
them. What a host could not do for an attempt is none: the world failed it."""


class RunProgress:
    """One run and those of its steps that a decision can touch."""

    def __init__(
        self,
        plan: Plan,
        run: RunState,
        steps: dict[str, StepState],
        *,
        now: datetime,
        hand_over: HandOver,
        elements: Mapping[ElementRequest, Sequence[int]] | None = None,
        signals: Sequence[SignalRow] | None = None,
    ) -> None:
        self.plan = plan
        self.run = run
        self.now = now
        self._steps = StepStates(steps)
        self._insertion = Insertion(run, now=now, hand_over=hand_over, elements=elements or {})
        self._waits = Waits(run, now=now, signals=signals)
        self._first_sequence = run.next_sequence
        self._events: list[Event] = []
        self._advanced_maps: dict[str, StepState] = {}
        self._cut_short: list[StepState] = []
        """Maps that ended while tasks of theirs were live."""

    @property
    def ended(self) -> bool:
        """Whether the run is terminal now."""
        return self.run.status is not RunStatus.RUNNING

    def is_live(self, slug: str) -> bool:
        """Whether outcomes of a step's tasks still count."""
        return not self.ended and self._steps[slug].status in _AT_WORK

    def note(self, event: Event) -> None:
        """Write the run's next event."""
        self._events.append(event)
        self.run.next_sequence += 1

    # The run

    def claim(self, sweeping: Iterable[StepState] = ()) -> None:
        """The pending run becomes running, and the steps that wait for no other become ready.

        Args:
            sweeping: steps that are skipped already, and take along what depends on them.
        """
        self.run.status = run_after(self.run.status, RunTrigger.CLAIM)
        self.run.started_at = self.now
        if self.plan.run_timeout_s is not None:
            self.run.deadline_at = later(self.now, timedelta(seconds=self.plan.run_timeout_s))
        self.note(_RUN_STARTED)
        self._advance([skipped for state in sweeping for skipped in self._sweep(state)])
        created = (state for state in self._steps.values() if state.status is StepStatus.CREATED)
        roots = [state.slug for state in created if not state.remaining_dependencies]
        self._advance(settled for slug in roots for settled in self._become_ready(slug))

    def fail(self, reason: str, error: bytes | None, *, step: str | None = None) -> None:
        """The run ends as failed, and everything that is live in it will be cancelled."""
        self.run.status = run_after(self.run.status, RunTrigger.FAIL)
        self._end(reason, error)
        self.note(RunFailed(reason=reason, step=step, error=as_raw(error)))

    def _end(self, reason: str | None, error: bytes | None) -> None:
        self.run.ended_at = self.now
        self.run.reason = reason
        self.run.error = error

    # Tasks

    def task_completed(self, key: TaskKey, facts: bytes | None) -> None:
        """One task of a step has its output; the last one completes the step and may make others ready."""
        if self.plan.is_map(key.step):
            self._insertion.completed.setdefault(key.step, []).append(key.element)
        self._task_ended(key.step, facts)

    def task_failed(self, key: TaskKey, attempt: int | None, reason: str, error: bytes | None) -> None:
        """One task failed for good. Beyond what its step tolerates, the step fails, or is skipped, as it says.

        A defect is not excused, and asks for none of the step's rules: they may be what is broken.
        """
        if reason in NEVER_EXCUSED:
            self._steps[key.step].failed_tasks += 1
            self._fail_with(key, attempt, reason, error)
        else:
            self._exhausted(key, attempt, reason, error, self.plan.steps[key.step].on_exhausted, HANDLER_FAILED)

    def _exhausted(
        self,
        key: TaskKey,
        attempt: int | None,
        reason: str,
        error: bytes | None,
        consequence: Consequence,
        skipped_as: str,
    ) -> None:
        slug = key.step
        plan, state = self.plan.steps[slug], self._steps[slug]
        state.failed_tasks += 1
        if state.failed_tasks <= plan.tolerated(state.elements or 0):
            self._task_ended(slug, None)
            return
        error = _error_of_step(plan, state, error)
        if consequence is Consequence.FAIL:
            self._fail_with(key, attempt, reason, error)
            return
        state.error = error
        state.remaining_tasks = (state.remaining_tasks or 0) - 1
        if state.remaining_tasks:
            self._cut_short.append(state)
        self._advance(self._skip(state, skipped_as, consequence))

    def _fail_with(self, key: TaskKey, attempt: int | None, reason: str, error: bytes | None) -> None:
        """A step fails with one of its tasks, and the run with it."""
        state = self._steps[key.step]
        state.error = error
        state.remaining_tasks = (state.remaining_tasks or 0) - 1
        self._end_step(state, StepTrigger.FAIL, reason)
        self.note(StepFailed(step=key.step, element=key.element, attempt=attempt, reason=reason, error=as_raw(error)))
        self.fail(reason, error, step=key.step)

    def _task_ended(self, slug: str, facts: bytes | None) -> None:
        """One task of a step is terminal, and well or tolerated."""
        state = self._steps[slug]
        state.changed = True
        state.remaining_tasks = (state.remaining_tasks or 0) - 1
        if self.plan.is_map(slug):
            self._advanced_maps[slug] = state
            facts = joined_facts(state.facts, facts)
        _note_facts(state, facts)
        if not state.remaining_tasks:
            self._advance(self._complete(state))

    # Waits

    def task_suspended(self, key: TaskKey, wake_at: datetime, give_up_at: datetime | None) -> None:
        """A task waits to be checked. So does its step, unless it is a map: others of its tasks go on."""
        state = self._steps[key.step]
        if state.status is StepStatus.RUNNING and not self.plan.is_map(key.step):
            self._suspend(
                state, StepSuspended(step=key.step, waits_for=WaitsFor.CHECK, wake_at=wake_at, give_up_at=give_up_at)
            )

    def check_due(self, task: TaskRow) -> None:
        """A suspended task is queued for its check; its step stays suspended."""
        self._waits.check(task)

    def time_reached(self, task: TaskRow) -> None:
        """A sleep is over."""
        self._waits.complete(task.key, task.token, NULL)
        self.task_completed(task.key, self._facts_of_null(task.key.step))

    def signalled(self, slug: str, payload: bytes, facts: bytes | None) -> None:
        """The signal that a step waits for is there, and its payload is the output of the step."""
        key = self._waits.task_of(self._steps[slug])
        self._waits.complete(key, BORN, payload)
        self.task_completed(key, facts)

    def timed_out(self, task: TaskRow, error: bytes) -> None:
        """What a task waited for was not there in time: its step fails, or is skipped, as it says."""
        plan = self.plan.steps[task.key.step]
        self._waits.fail(task.key, task.token, TIMED_OUT, error)
        consequence = plan.on_timeout if plan.kind is StepKind.SIGNAL else plan.on_exhausted
        self._exhausted(task.key, None, TIMED_OUT, error, consequence, TIMED_OUT)

    def gave_up(self, task: TaskRow, error: bytes) -> None:
        """A check found its task not ready when the time for it was over; the attempt is recorded by the caller."""
        consequence = self.plan.steps[task.key.step].on_exhausted
        self._exhausted(task.key, task.attempts, TIMED_OUT, error, consequence, TIMED_OUT)

    def _suspend(self, state: StepState, event: StepSuspended) -> None:
        state.status = step_after(state.status, StepTrigger.SUSPEND)
        state.changed = True
        self.note(event)

    def _wait_for_signal(self, plan: StepPlan, state: StepState) -> Sequence[StepState]:
        """A signal step begins to wait, unless its signal was sent before."""
        signal = self._waits.kept_signal(state.slug)
        wake_at = None if plan.wait_s is None else later(self.now, timedelta(seconds=plan.wait_s))
        key = self._begin(plan, state, wake_at)
        if signal is None:
            self._suspend(state, StepSuspended(step=state.slug, waits_for=WaitsFor.SIGNAL, wake_at=wake_at))
            return ()
        self._waits.consume(signal)
        return self._over_at_once(state, key, signal.payload, signal.facts)

    def _sleep(self, plan: StepPlan, state: StepState) -> Sequence[StepState]:
        """A sleep begins, unless its time is past."""
        wake_at = end_of_sleep(plan, self.run, self._steps, self.now)
        if isinstance(wake_at, str):
            assert plan.until is not None, "only a time that is data can be none"
            message = str(MissingTime(state.slug, plan.until, wake_at))
            self._fail_unstarted(state, "not_a_time", encode_failure(type="NotATime", message=message))
            return ()
        past = wake_at is None or wake_at <= self.now
        key = self._begin(plan, state, self.now if wake_at is None else wake_at)
        if past:
            return self._over_at_once(state, key, NULL, self._facts_of_null(state.slug))
        self._suspend(state, StepSuspended(step=state.slug, waits_for=WaitsFor.TIME, wake_at=wake_at))
        return ()

    def _begin(self, plan: StepPlan, state: StepState, wake_at: datetime | None) -> TaskKey:
        """Start a step whose one task waits from the beginning."""
        state.elements = state.remaining_tasks = state.cursor = 1
        self._note_start(state)
        return self._waits.begin(plan, state, wake_at)

    def _over_at_once(self, state: StepState, key: TaskKey, output: bytes, facts: bytes | None) -> Sequence[StepState]:
        self._waits.complete(key, BORN, output)
        state.remaining_tasks = 0
        _note_facts(state, facts)
        return self._complete(state)

    def _facts_of_null(self, slug: str) -> bytes | None:
        return facts_of(self.plan.questions[slug], NULL)

    # Steps

    def _advance(self, settled: Iterable[StepState]) -> None:
        """Tell the dependents of settled steps, and of all that is settled by that at once, in chains of any length."""
        queue = deque(settled)
        while queue and not self.ended:
            state = queue.popleft()
            self.run.remaining_steps -= 1
            for slug in self.plan.dependents[state.slug]:
                dependent = self._steps[slug]
                if dependent.status is not StepStatus.CREATED:  # skipped by a cascade
                    continue
                dependent.changed = True
                dependent.remaining_dependencies -= 1
                if not dependent.remaining_dependencies:
                    queue.extend(self._become_ready(slug))
                    if self.ended:
                        return
        if not self.run.remaining_steps and not self.ended:
            self.run.status = run_after(self.run.status, RunTrigger.COMPLETE)
            self._end(None, None)
            self.note(_RUN_COMPLETED)

    def _become_ready(self, slug: str) -> Sequence[StepState]:
        """Every dependency is settled: start the step, or settle it at once; answers the steps that were settled."""
        if self.ended:
            return ()
        state = self._steps[slug]
        hindered = hindrance(self.plan, slug, self.run.facts, self._steps)
        if hindered is None:
            return self._start(state)
        if hindered.consequence is Consequence.FAIL:
            message = f"the condition of step {slug!r} is unmet, and it says on_unmet='fail'"
            self._fail_unstarted(state, hindered.reason, encode_failure(type="ConditionUnmet", message=message))
            return ()
        return self._skip(state, hindered.reason, hindered.consequence)

    def _start(self, state: StepState) -> Sequence[StepState]:
        plan = self.plan.steps[state.slug]
        if plan.kind is StepKind.SIGNAL:
            return self._wait_for_signal(plan, state)
        if plan.kind is StepKind.SLEEP:
            return self._sleep(plan, state)
        elements, gaps = (1, 0) if plan.source is None else self._elements(plan.source)
        if not isinstance(elements, int):
            assert plan.source is not None, "only the array of a map can be missing"
            message = str(MissingArray(state.slug, plan.source, elements))
            self._fail_unstarted(state, "not_an_array", encode_failure(type="NotAnArray", message=message))
            return ()
        state.elements, state.gaps = elements, gaps
        state.remaining_tasks = state.tasks
        if not state.remaining_tasks:
            return self._complete(state)
        self._note_start(state)
        self._insert_tasks(state)
        return ()

    def _note_start(self, state: StepState) -> None:
        state.status = step_after(state.status, StepTrigger.START)
        state.changed = True
        state.started = True
        self.note(StepStarted(step=state.slug, tasks=state.remaining_tasks or 0))

    def _complete(self, state: StepState) -> Sequence[StepState]:
        if state.status is StepStatus.SUSPENDED:
            state.status = step_after(state.status, StepTrigger.RESUME)
            self.note(StepResumed(step=state.slug, waited_for=waited_for(self.plan.steps[state.slug])))
        self._end_step(state, StepTrigger.COMPLETE, None)
        self.note(StepCompleted(step=state.slug))
        return (state,)

    def _skip(self, state: StepState, reason: str, consequence: Consequence) -> Sequence[StepState]:
        """Skip a step, and where it says so, all that depend on it, directly or not."""
        self._end_step(state, StepTrigger.SKIP, reason)
        self.note(StepSkipped(step=state.slug, reason=reason, error=as_raw(state.error)))
        skipped = [state]
        if consequence is Consequence.SKIP_CASCADE:
            skipped += self._sweep(state)
        return skipped

    def _sweep(self, state: StepState) -> Sequence[StepState]:
        """Skip whatever depends on a step, directly or not, and has not begun."""
        descendants = [self._steps[slug] for slug in self.plan.descendants(state.slug)]
        created = [each for each in descendants if each.status is StepStatus.CREATED]
        return [skipped for each in created for skipped in self._skip(each, DEPENDENCY_SKIPPED, Consequence.SKIP)]

    def _fail_unstarted(self, state: StepState, reason: str, error: bytes) -> None:
        """A step fails before it has a task, and with it the run."""
        state.error = error
        self._end_step(state, StepTrigger.FAIL, reason)
        self.note(StepFailed(step=state.slug, reason=reason, error=as_raw(error)))
        self.fail(reason, error, step=state.slug)

    def _end_step(self, state: StepState, trigger: StepTrigger, reason: str | None) -> None:
        state.status = step_after(state.status, trigger)
        state.changed = True
        state.ended = True
        state.reason = reason

    def _elements(self, source: ValuePath) -> tuple[int | Kind, int]:
        """How many elements a map has, and how many of them are gaps; or what stands where its array should be."""
        if source.name == INPUT:
            return array_length(self.run.facts, source), 0
        upstream = self._steps[source.name]
        if upstream.status is StepStatus.SKIPPED:
            return 0, 0
        if self.plan.is_map(source.name):
            return upstream.elements or 0, upstream.failed_tasks + upstream.gaps
        return array_length(upstream.facts, source), 0

    def _insert_tasks(self, state: StepState) -> None:
        plan = self.plan.steps[state.slug]
        source = self._steps[plan.source.name] if state.gaps and plan.source is not None else None
        self._insertion.insert(plan, state, source)

    # Rows

    def write(self, changes: ChangeSet) -> None:
        """Add the rows that bring the store from what was loaded to what was decided, or raise and add nothing.

        Args:
            changes: the transaction's changes so far.
        """
        for slug, state in self._advanced_maps.items():
            if self.is_live(slug):
                self._insert_tasks(state)
        for state in self._steps.values():
            if state.is_new:
                changes.new_steps.append(step_write(self.run.id, state, self.now))
            elif state.changed:
                changes.steps.append(step_write(self.run.id, state, self.now))
        if self._events:
            changes.events.append(event_batch(self.run, self._events, first=self._first_sequence, now=self.now))
        if self.run.is_rerun:
            changes.reruns.append(rerun(self.run))
        else:
            changes.runs.append(run_update(self.run))
        if self.run.status is RunStatus.FAILED or self._cut_short:
            changes.cancellations.extend(self._cancellations())
        self._waits.write(changes)
        if self.run.status is RunStatus.FAILED:
            self._insertion.give_back()
        else:
            changes.new_tasks.extend(self._insertion.new_tasks)
            changes.claimed.extend(self._insertion.claimed)

    def _cancellations(self) -> Iterator[Cancellation]:
        if self.run.status is RunStatus.FAILED:
            yield Cancellation(run_id=self.run.id, at=self.now, reason="run_failed")
            return
        for state in self._cut_short:
            yield Cancellation(
                run_id=self.run.id, at=self.now, reason="step_skipped", step=state.slug, generation=state.generation
            )


_AT_WORK = frozenset({StepStatus.RUNNING, StepStatus.SUSPENDED})
_RUN_STARTED = RunStarted()
_RUN_COMPLETED = RunCompleted()


def _error_of_step(plan: StepPlan, state: StepState, error: bytes | None) -> bytes | None:
    """What is recorded of a step whose task failed for good: its error, and of a tolerant map how many have failed."""
    if error is None or not plan.tolerate_failures:
        return error
    elements = state.elements or 0
    tolerated = plan.tolerated(elements)
    return with_exceeded(
        error, Exceeded(step=state.slug, failed=state.failed_tasks, elements=elements, tolerated=tolerated)
    )


def _note_facts(state: StepState, facts: bytes | None) -> None:
    if facts != state.facts:
        state.facts = facts
        state.has_new_facts = True
