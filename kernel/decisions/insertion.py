"""New tasks: which elements of a ready step get theirs now, and which of these are born leased."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ...ports.changes import NewTasks
from ...ports.records import ClaimedTask, ElementRequest, TaskKey
from ..plan import StepPlan
from .handover import HandOver
from .retrying import later
from .state import NotLoaded, RunState, StepState

MAP_WINDOW_MAX = 10_000
"""Non-terminal tasks of one map at a time: bounds the rows of one transaction and of one run in a queue."""


class ElementsNotLoaded(NotLoaded):
    """A decision needs to know for which elements of a map the next tasks are, since some get none."""

    def __init__(self, request: ElementRequest) -> None:
        self.request = request
        super().__init__(request)


class Insertion:
    """The tasks that one run gets in one transaction."""

    def __init__(
        self, run: RunState, *, now: datetime, hand_over: HandOver, elements: Mapping[ElementRequest, Sequence[int]]
    ) -> None:
        self.completed: dict[str, list[int]] = {}
        """The elements of each map that were completed by this decision; the store does not know of them yet."""
        self.new_tasks: list[NewTasks] = []
        self.claimed: list[ClaimedTask] = []
        """Those among them that are leased to the commanding host."""
        self._run = run
        self._now = now
        self._hand_over = hand_over
        self._elements = elements

    def insert(self, plan: StepPlan, state: StepState, source: StepState | None) -> None:
        """Insert a step's next tasks, as far as its window admits: leased while there are slots, then queued.

        Args:
            plan: the step.
            state: the step, running; its cursor moves on.
            source: the map whose outputs are the elements, where it has not made all of them.

        Raises:
            ElementsNotLoaded: some elements get no task, and which is not known.
        """
        terminal = state.tasks - (state.remaining_tasks or 0)
        window = min(plan.max_concurrency or MAP_WINDOW_MAX, MAP_WINDOW_MAX)
        wanted = min(state.tasks, terminal + window) - state.cursor
        if wanted <= 0:
            return
        count = self._hand_over.admit(wanted)
        for first, length in self._ranges(state, source, count):
            leased = self._hand_over.take(self._run.flow_id, plan, self._run.priority, length)
            if leased:
                tasks = self._insert_range(plan, state, first, leased, leased=True)
                self.claimed.extend(_claimed(tasks, self._hand_over.lease_until))
            if length > leased:
                self._insert_range(plan, state, first + leased, length - leased, leased=False)

    def give_back(self) -> None:
        """None of these tasks will be: the host has its slots again."""
        self._hand_over.remaining += len(self.claimed)

    def _ranges(self, state: StepState, source: StepState | None, count: int) -> Iterable[tuple[int, int]]:
        """The next elements, as ranges of (first index, length)."""
        if source is None and not state.kept:
            return ((state.cursor, count),)
        request = ElementRequest(
            run_id=self._run.id,
            step=state.slug,
            generation=state.generation,
            retry_of=state.retry_of,
            elements=state.elements or 0,
            source=None if source is None else source.slug,
            source_generation=0 if source is None else source.generation,
            source_retry_of=None if source is None else source.retry_of,
            limit=count,
        )
        if request not in self._elements:
            raise ElementsNotLoaded(request)
        indices = self._elements[request]
        if source is not None and not state.cursor:  # it may have ended just now; later it has no news
            indices = sorted({*indices, *self.completed.get(source.slug, ())})[:count]
        return _consecutive(indices)

    def _insert_range(self, plan: StepPlan, state: StepState, first: int, count: int, *, leased: bool) -> NewTasks:
        delay = timedelta(seconds=plan.start_delay_s)
        tasks = NewTasks(
            run_id=self._run.id,
            step=state.slug,
            generation=state.generation,
            first=first,
            count=count,
            flow_id=self._run.flow_id,
            queue=plan.queue,
            priority=self._run.priority,
            created_at=self._now,
            ready_at=later(self._now, delay) if delay else self._now,
            worker=self._hand_over.worker if leased else None,
            lease_until=self._hand_over.lease_until if leased else None,
        )
        self.new_tasks.append(tasks)
        state.cursor += count
        return tasks


def _consecutive(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending indices as ranges of (first, length)."""
    start = 0
    for place in range(1, len(indices) + 1):
        if place == len(indices) or indices[place] != indices[place - 1] + 1:
            yield indices[start], place - start
            start = place


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
