"""One run, advanced in memory: the state machine that every decision drives.

`RunProgress` is built from the rows that were loaded under the run's lock. Its methods apply the rules for tasks,
steps and the run, collect events and new tasks, and keep all counters; `write` adds the outcome to a transaction's
changes. It is mutable while a decision lasts and never leaves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from ...ports.records import (
    Cancellation,
    ClaimedTask,
    EventBatch,
    NewTasks,
    RunUpdate,
    StepWrite,
    TaskKey,
)
from ...ports.statuses import RunStatus
from ..events import (
    NO_ERROR,
    Event,
    RunCompleted,
    RunFailed,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepStarted,
    encode_events,
)
from ..facts import Kind, read_facts
from ..failures import encode_failure
from ..plan import INPUT, MapSource, Plan, StepKind, StepPlan
from ..transitions import RunTrigger, StepTrigger, run_after, step_after
from .handover import HandOver
from .retrying import later
from .state import ChangeSet, RunState, StepState

MAP_WINDOW_MAX = 10_000
"""Non-terminal tasks of one map at a time: bounds the rows of one transaction and of one run in a queue."""


class StepNotLoaded(Exception):
    """A decision reached a step whose row was not loaded: it must be taken again with all steps of the run."""


class RunProgress:
    """One run and those of its steps that a decision can touch."""

    def __init__(
        self, plan: Plan, run: RunState, steps: dict[str, StepState], *, now: datetime, hand_over: HandOver
    ) -> None:
        self.plan = plan
        self.run = run
        self.now = now
        self._steps = steps
        self._hand_over = hand_over
        self._first_sequence = run.next_sequence
        self._events: list[Event] = []
        self._new_tasks: list[NewTasks] = []
        self._claimed: list[ClaimedTask] = []
        self._advanced_maps: dict[str, StepState] = {}
        self._started_at: datetime | None = None
        self._ended_at: datetime | None = None
        self._reason: str | None = None
        self._error: bytes | None = None

    @property
    def ended(self) -> bool:
        """Whether the run is terminal now."""
        return self.run.status is not RunStatus.RUNNING

    def note(self, event: Event) -> None:
        """Write the run's next event."""
        self._events.append(event)
        self.run.next_sequence += 1

    # The run

    def claim(self) -> None:
        """The pending run becomes running, and the steps without dependencies become ready."""
        self.run.status = run_after(self.run.status, RunTrigger.CLAIM)
        self._started_at = self.now
        self.note(_RUN_STARTED)
        roots = [slug for slug, step in self.plan.steps.items() if not step.dependencies]
        self._complete_steps(self._start_steps(roots))

    def fail(self, reason: str, error: bytes | None, *, step: str | None = None) -> None:
        """The run ends as failed, and everything that is live in it will be cancelled."""
        self.run.status = run_after(self.run.status, RunTrigger.FAIL)
        self._end(reason, error)
        self.note(RunFailed(reason=reason, step=step, error=_raw(error)))

    def _end(self, reason: str | None, error: bytes | None) -> None:
        self._ended_at = self.now
        self._reason = reason
        self._error = error

    # Tasks

    def task_completed(self, slug: str, facts: bytes | None) -> None:
        """One task of a step has its output; the last one completes the step and may make others ready."""
        state = self._task_ended(slug)
        if self.plan.steps[slug].kind is StepKind.MAP:
            self._advanced_maps[slug] = state
        else:
            state.facts = facts
            state.has_new_facts = facts is not None
        if not state.remaining_tasks:
            self._complete_steps([state])

    def task_failed(self, key: TaskKey, attempt: int, reason: str, error: bytes | None) -> None:
        """One task failed for good, and with it its step and the run."""
        state = self._task_ended(key.step)
        state.failed_tasks += 1
        state.status = step_after(state.status, StepTrigger.FAIL)
        state.ended = True
        state.reason = reason
        state.error = error
        self.note(StepFailed(step=key.step, element=key.element, attempt=attempt, reason=reason, error=_raw(error)))
        self.fail(reason, error, step=key.step)

    def missing_array(self, slug: str, facts: bytes | None) -> str | None:
        """Why a step's output cannot feed the maps over it; None where it can."""
        if self.plan.steps[slug].kind is StepKind.MAP:
            return None
        for source in self.plan.mapped_paths.get(slug, ()):
            length = _length(source, facts)
            if not isinstance(length, int):
                return _not_an_array(self.plan, source, length)
        return None

    def _task_ended(self, slug: str) -> StepState:
        state = self._step(slug)
        state.changed = True
        state.remaining_tasks = (state.remaining_tasks or 0) - 1
        return state

    # Steps

    def _step(self, slug: str) -> StepState:
        try:
            return self._steps[slug]
        except KeyError:
            raise StepNotLoaded(slug) from None

    def _complete_steps(self, states: Iterable[StepState]) -> None:
        """Complete steps and whatever follows at once: maps over empty arrays, through chains of any length."""
        completed = deque(states)
        while completed and not self.ended:
            state = completed.popleft()
            state.status = step_after(state.status, StepTrigger.COMPLETE)
            state.ended = True
            state.changed = True
            self.run.remaining_steps -= 1
            self.note(StepCompleted(step=state.slug))
            ready: list[str] = []
            for slug in self.plan.dependents[state.slug]:
                dependent = self._step(slug)
                dependent.changed = True
                dependent.remaining_dependencies -= 1
                if not dependent.remaining_dependencies:
                    ready.append(slug)
            completed.extend(self._start_steps(ready))
        if not self.run.remaining_steps and not self.ended:
            self.run.status = run_after(self.run.status, RunTrigger.COMPLETE)
            self._end(None, None)
            self.note(_RUN_COMPLETED)

    def _start_steps(self, slugs: Iterable[str]) -> list[StepState]:
        """Start steps whose dependencies are settled; answers those that have no task and complete at once."""
        empty: list[StepState] = []
        for slug in slugs:
            plan = self.plan.steps[slug]
            state = self._step(slug)
            elements = 1 if plan.source is None else self._elements(plan.source)
            if not isinstance(elements, int):
                message = _not_an_array(self.plan, plan.source, elements)
                self.fail("not_an_array", encode_failure(type="NotAnArray", message=message), step=slug)
                break
            state.changed = True
            state.elements = elements
            state.remaining_tasks = elements
            if not elements:
                empty.append(state)
                continue
            state.status = step_after(state.status, StepTrigger.START)
            state.started = True
            self.note(StepStarted(step=slug, tasks=elements))
            self._insert_tasks(plan, state)
        return empty

    def _elements(self, source: MapSource) -> int | Kind:
        if source.name == INPUT:
            return _length(source, self.run.facts)
        upstream = self._step(source.name)
        if self.plan.steps[source.name].kind is StepKind.MAP:
            return upstream.elements or 0
        return _length(source, upstream.facts)

    # New tasks

    def _insert_tasks(self, plan: StepPlan, state: StepState) -> None:
        """Insert tasks from the cursor on, as far as the window admits: leased while there are slots, then queued."""
        elements = state.elements or 0
        terminal = elements - (state.remaining_tasks or 0)
        window = min(plan.max_concurrency or MAP_WINDOW_MAX, MAP_WINDOW_MAX)
        count = min(elements, terminal + window) - state.cursor
        if count <= 0:
            return
        count = self._hand_over.admit(count)
        leased = self._hand_over.take(self.run.flow_id, plan, self.run.priority, count)
        if leased:
            tasks = self._insert_range(plan, state, leased, leased=True)
            self._claimed.extend(_claimed(tasks, self._hand_over.lease_until))
        if count > leased:
            self._insert_range(plan, state, count - leased, leased=False)

    def _insert_range(self, plan: StepPlan, state: StepState, count: int, *, leased: bool) -> NewTasks:
        tasks = NewTasks(
            run_id=self.run.id,
            step=state.slug,
            generation=state.generation,
            first=state.cursor,
            count=count,
            flow_id=self.run.flow_id,
            queue=plan.queue,
            priority=self.run.priority,
            created_at=self.now,
            ready_at=later(self.now, timedelta(seconds=plan.start_delay_s)) if plan.start_delay_s else self.now,
            worker=self._hand_over.worker if leased else None,
            lease_until=self._hand_over.lease_until if leased else None,
        )
        self._new_tasks.append(tasks)
        state.cursor += count
        return tasks

    # Rows

    def write(self, changes: ChangeSet, *, published: bool, new: bool = False) -> None:
        """Add the rows that bring the store from what was loaded to what was decided, or raise and add nothing.

        Args:
            changes: the transaction's changes so far.
            published: whether events are born published.
            new: whether the steps have no rows yet.
        """
        if not self.ended:
            for slug, state in self._advanced_maps.items():
                self._insert_tasks(self.plan.steps[slug], state)
        steps = [self._step_write(state) for state in self._steps.values() if new or state.changed]
        events = [self._event_batch(published)] if self._events else []
        (changes.new_steps if new else changes.steps).extend(steps)
        changes.events.extend(events)
        changes.runs.append(self._run_update())
        if self.run.status is RunStatus.FAILED:
            changes.cancellations.append(Cancellation(run_id=self.run.id, at=self.now, reason="run_failed"))
            self._hand_over.remaining += len(self._claimed)
        else:
            changes.new_tasks.extend(self._new_tasks)
            changes.claimed.extend(self._claimed)

    def _run_update(self) -> RunUpdate:
        return RunUpdate(
            id=self.run.id,
            status=self.run.status,
            next_sequence=self.run.next_sequence,
            remaining_steps=self.run.remaining_steps,
            started_at=self._started_at,
            ended_at=self._ended_at,
            reason=self._reason,
            error=self._error,
        )

    def _step_write(self, state: StepState) -> StepWrite:
        return StepWrite(
            run_id=self.run.id,
            slug=state.slug,
            generation=state.generation,
            status=state.status,
            remaining_dependencies=state.remaining_dependencies,
            elements=state.elements,
            remaining_tasks=state.remaining_tasks,
            failed_tasks=state.failed_tasks,
            cursor=state.cursor,
            facts=state.facts if state.has_new_facts else None,
            started_at=self.now if state.started else None,
            ended_at=self.now if state.ended else None,
            reason=state.reason,
            error=state.error,
        )

    def _event_batch(self, published: bool) -> EventBatch:
        return EventBatch(
            run_id=self.run.id,
            flow=self.run.flow,
            generation=self.run.generation,
            first_sequence=self._first_sequence,
            count=len(self._events),
            at=self.now,
            events=encode_events(self._events),
            published=published,
        )


_RUN_STARTED = RunStarted()
_RUN_COMPLETED = RunCompleted()


def _raw(error: bytes | None) -> msgspec.Raw:
    return NO_ERROR if error is None else msgspec.Raw(error)


def _length(source: MapSource, facts: bytes | None) -> int | Kind:
    return read_facts(facts).lengths.get(source.dotted, "nothing")


def _not_an_array(plan: Plan, source: MapSource | None, found: Kind) -> str:
    maps = [step.slug for step in plan.steps.values() if step.source == source and source is not None]
    wanted = source.dotted if source is not None else ""
    return f"the map {maps[0]!r} works over {wanted!r}, which should be an array and is {found}"


def _claimed(tasks: NewTasks, lease_until: datetime) -> Iterable[ClaimedTask]:
    return (
        ClaimedTask(
            key=TaskKey(tasks.run_id, tasks.step, tasks.generation, element),
            flow_id=tasks.flow_id,
            token=1,
            attempt=1,
            losses=0,
            lease_until=lease_until,
            priority=tasks.priority,
        )
        for element in range(tasks.first, tasks.first + tasks.count)
    )
