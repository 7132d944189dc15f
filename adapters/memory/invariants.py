"""The invariants that stored rows can show, one predicate each, over one committed state.

A predicate yields a line for every row that breaks it and nothing on a healthy store. Not here are those that no
single state of the rows can show: I7, I9, I23, I24, I31 and I34 to I37 speak of what happens over time, I8
needs a plan's `max_attempts`, I28 and I29 the blob store, I38 another adapter. I1, I2, I10, I12, I14 and I30 are
checked as far as rows show them without the flow's plan, I20 and I21 without looking into a sink.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from itertools import islice

from ...ports.health import LINES_PER_INVARIANT_MAX
from ...ports.records import Lease
from ...ports.statuses import (
    LIVE_STEP,
    LIVE_TASK,
    TERMINAL_RUN,
    TERMINAL_STEP,
    TERMINAL_TASK,
    RunStatus,
    StepStatus,
    TaskStatus,
)
from .annotations import come_to, searched
from .events import Told, told_by
from .outbox_invariants import I20_sinks_get_prefixes, I21_published_means_accepted, I33_nothing_is_lost
from .rows import Run, Step, StoredRun, Task
from .store import Store
from .wait_invariants import I26_suspended_waits, I27_consumed_once

FIRST_GENERATION = 1

LOST = "worker_lost"
"""The reason of a task that failed because its last lease was lost: nobody recorded an outcome."""


def I1_terminal_is_absorbing(store: Store) -> Iterator[str]:
    """Terminal is absorbing per generation: what is terminal has an end, what is not has none.

    Only a running run has a deadline.
    """
    for run in store.runs.values():
        if (run.row.status in TERMINAL_RUN) is (run.row.ended_at is None):
            yield f"{_of_run(run.row)} ended at {run.row.ended_at}"
        left = {number for number, ending in run.endings.items() if ending.status in TERMINAL_RUN}
        if left != set(range(FIRST_GENERATION, run.row.generation)) or len(left) != len(run.endings):
            yield f"{_of_run(run.row)} in generation {run.row.generation} has left {sorted(run.endings)}"
        if run.row.deadline_at is not None and run.row.status is not RunStatus.RUNNING:
            yield f"{_of_run(run.row)} has a deadline at {run.row.deadline_at}"
        for step in run.steps.values():
            if (step.status in TERMINAL_STEP) is (step.ended_at is None):
                yield f"{_of_step(step)} ended at {step.ended_at}"
        for task in run.tasks.values():
            if (task.status in TERMINAL_TASK) is (task.ended_at is None):
                yield f"{_of_task(task)} ended at {task.ended_at}"


def I2_statuses_agree(store: Store) -> Iterator[str]:
    """Every transition is in the table, so rows of one run never stand where no transition leads to."""
    for run in store.runs.values():
        row = run.row
        if row.status is RunStatus.PENDING and (row.started_at is not None or run.steps or run.tasks):
            yield f"{_of_run(row)} has started"
        if row.status in (RunStatus.RUNNING, RunStatus.COMPLETED) and row.started_at is None:
            yield f"{_of_run(row)} has never started"
        for task in run.tasks.values():
            step = run.steps.get((row.id, task.key.step, task.key.generation))
            if step is None or step.status is StepStatus.CREATED or _never_started(step):
                yield f"{_of_task(task)} belongs to a step that has not started"
            if task.status is TaskStatus.RUNNING and not task.token:
                yield f"{_of_task(task)} was never claimed"


def I3_one_outcome(store: Store) -> Iterator[str]:
    """At most one outcome per task and token; a terminal task has exactly one.

    A task that ended while it waited is nobody's, and no attempt.
    """
    for run, task in _tasks(store):
        kept = run.attempts.get(Lease(task.key, task.token))
        if task.status is TaskStatus.COMPLETED and (task.settled_token != task.token or kept is not None):
            yield f"{_of_task(task)} has settled token {task.settled_token}, and its attempt kept as {kept}"
        if task.status is TaskStatus.FAILED:
            settled = task.settled_token == task.token
            if (kept is None) is (task.worker is not None) or settled is (task.reason == LOST):
                yield f"{_of_task(task)} has settled token {task.settled_token}, and its attempt kept as {kept}"


def I4_outcome_of_latest_claim(store: Store) -> Iterator[str]:
    """An outcome's token is the latest claim's: none is recorded under a token that was never given out."""
    for run in store.runs.values():
        for task in run.tasks.values():
            if not 0 <= task.settled_token <= task.token:
                yield f"{_of_task(task)} has settled token {task.settled_token}"
        for key, token in run.attempts:
            given = run.tasks.get(key)
            if given is None or not 1 <= token <= given.token:
                yield f"attempt under token {token} of task {key} was never claimed"


def I5_tokens_increase(store: Store) -> Iterator[str]:
    """Tokens increase per task: once per claim, while an attempt may be given back."""
    for _, task in _tasks(store):
        if not 0 <= task.attempts <= task.token or not 0 <= task.losses <= task.token:
            yield f"{_of_task(task)} has {task.attempts} attempts and {task.losses} losses"


def I6_one_live_lease(store: Store) -> Iterator[str]:
    """At most one live lease per task: a running task has one, with a worker; any other has none."""
    for _, task in _tasks(store):
        leased = task.lease_until is not None and task.worker is not None
        if leased is not (task.status is TaskStatus.RUNNING) or (task.lease_until is not None and not leased):
            yield f"{_of_task(task)} is leased to {task.worker} until {task.lease_until}"


def I10_dependencies_settled(store: Store) -> Iterator[str]:
    """A step starts only when every dependency is settled as its policy allows, and then at once."""
    for run, step in _steps(store):
        started = step.status in (StepStatus.RUNNING, StepStatus.SUSPENDED, StepStatus.COMPLETED)
        late = step.status is StepStatus.CREATED and run.row.status is RunStatus.RUNNING
        if (started and step.remaining_dependencies) or (late and not step.remaining_dependencies):
            yield f"{_of_step(step)} waits for {step.remaining_dependencies} dependencies"


def I11_remaining_tasks(store: Store) -> Iterator[str]:
    """`remaining_tasks` = elements − gaps − kept − terminal tasks; `failed_tasks` and `cursor` equal the counted rows.

    All are ≥ 0. A step that was cut short keeps its counters as they were.
    """
    for run in _running(store):
        tasks: dict[tuple[str, int], list[Task]] = {}
        for task in run.tasks.values():
            tasks.setdefault(_place(task), []).append(task)
        for step in run.steps.values():
            found = tasks.get((step.slug, step.generation), [])
            terminal = sum(task.status in TERMINAL_TASK for task in found)
            failed = sum(task.status is TaskStatus.FAILED for task in found)
            remaining = None if step.elements is None else step.elements - step.gaps - step.kept - terminal
            counted = (remaining, failed, len(found))
            wrong = counted != (step.remaining_tasks, step.failed_tasks, step.cursor) or (remaining or 0) < 0
            if (wrong or step.gaps < 0) and (step.status in LIVE_STEP or step.status is StepStatus.COMPLETED):
                yield (
                    f"{_of_step(step)} has remaining tasks {step.remaining_tasks}, failed {step.failed_tasks}, "
                    f"cursor {step.cursor}, gaps {step.gaps}; counted {counted}"
                )


def I12_remaining_dependencies(store: Store) -> Iterator[str]:
    """`remaining_dependencies` equals the counted rows and is ≥ 0: no step waits for more than is unsettled."""
    for run in store.runs.values():
        live = sum(step.status in LIVE_STEP for step in _current_steps(run))
        for step in run.steps.values():
            waits = run.row.status is RunStatus.RUNNING and step.status is StepStatus.CREATED
            if step.remaining_dependencies < 0 or (waits and step.remaining_dependencies >= live):
                yield f"{_of_step(step)} waits for {step.remaining_dependencies} dependencies, {live} steps are live"


def I13_remaining_steps(store: Store) -> Iterator[str]:
    """`remaining_steps` equals the counted rows and is ≥ 0."""
    for run in store.runs.values():
        live = sum(step.status in LIVE_STEP for step in _current_steps(run))
        running = run.row.status is RunStatus.RUNNING
        if run.row.remaining_steps < 0 or (running and run.row.remaining_steps != live):
            yield f"{_of_run(run.row)} has {run.row.remaining_steps} remaining steps, {live} are live"


def I14_step_completion(store: Store) -> Iterator[str]:
    """A step is completed iff its tasks are settled within tolerance, or it is a map that has none."""
    for run, step in _steps(store):
        completed = step.status is StepStatus.COMPLETED
        overdue = step.status in LIVE_STEP and step.remaining_tasks == 0 and run.row.status is RunStatus.RUNNING
        if overdue or (completed and (step.elements is None or step.remaining_tasks != 0)):
            yield f"{_of_step(step)} has {step.remaining_tasks} tasks to settle of {step.elements} less {step.gaps}"
    for run, task in _tasks(store):
        parent = run.steps.get((run.row.id, *_place(task)))
        if task.status is TaskStatus.CANCELLED and parent is not None and parent.status is StepStatus.COMPLETED:
            yield f"{_of_task(task)} belongs to a step that is completed"


def I15_run_completion(store: Store) -> Iterator[str]:
    """A run is completed iff its steps are settled well."""
    well = (StepStatus.COMPLETED, StepStatus.SKIPPED)
    for run in store.runs.values():
        ill = [step for step in _current_steps(run) if step.status not in well]
        if run.row.status is RunStatus.COMPLETED and (ill or run.row.remaining_steps):
            yield f"{_of_run(run.row)} has unsettled steps: {', '.join(map(_of_step, ill))}"
        if run.row.status is RunStatus.RUNNING and not any(step.status in LIVE_STEP for step in ill):
            yield f"{_of_run(run.row)} has nothing left to do"


def I16_outputs_aligned(store: Store) -> Iterator[str]:
    """Map outputs are aligned by index: a completed step has every element once, but for its gaps.

    Outputs are of completed tasks. What a retried map has kept of earlier generations is there, and not made again.
    """
    for run in store.runs.values():
        elements: dict[tuple[str, int], set[int]] = {}
        for task in run.tasks.values():
            elements.setdefault(_place(task), set()).add(task.key.element)
            if (task.output is not None) is not (task.status is TaskStatus.COMPLETED):
                yield f"{_of_task(task)} has {'no ' if task.output is None else ''}output"
        for step in run.steps.values():
            found = elements.get((step.slug, step.generation), set())
            completed = step.status is StepStatus.COMPLETED
            wanted = (step.elements or 0) - step.gaps - step.kept if completed else len(found)
            if len(found) != wanted or any(not 0 <= element < (step.elements or 0) for element in found):
                less = f"{step.gaps} and {step.kept}"
                yield f"{_of_step(step)} has {step.elements} elements less {less}, and tasks for {sorted(found)}"
            before = _completed_before(run, step)
            if len(before) != step.kept or not found.isdisjoint(before):
                yield f"{_of_step(step)} has kept {step.kept} elements, not {len(before)}, and has {sorted(found)}"


def I17_one_terminal_event(store: Store) -> Iterator[str]:
    """One terminal event per run and generation, and per step and generation; nothing follows a run's in it."""
    for run, told in _told(store):
        ends = [(event.generation, position) for position, event in enumerate(told) if event.ends_run]
        generations = Counter(generation for generation, _ in ends)
        expected = {*run.endings, *([run.row.generation] if run.row.status in TERMINAL_RUN else [])}
        if any(number > 1 for number in generations.values()):
            yield f"{_of_run(run.row)} ended more than once: {dict(generations)}"
        if set(generations) != expected:
            yield f"{_of_run(run.row)} has terminal events in generations {sorted(generations)}"
        for generation, position in ends:
            if any(event.generation == generation for event in told[position + 1 :]):
                yield f"{_of_run(run.row)} has events after its end in generation {generation}"
        ended = Counter((event.step, event.generation) for event in told if event.ends_step)
        for (slug, generation), number in ended.items():
            if number > 1:
                yield f"step {run.row.id}/{slug}/{generation} ended {number} times"


def I18_changes_have_events(store: Store) -> Iterator[str]:
    """Every status change of a run or step and every retry has its event, and no event is without its change."""
    for run, told in _told(store):
        row = run.row
        types = [event.type for event in told if event.step is None or event.of_run]
        if types[:1] != ["run.created"] or types.count("run.created") != 1:
            yield f"{_of_run(row)} begins with {types[:1]}"
        for number, status, started_at in [(row.generation, row.status, row.started_at), *_left(run)]:
            types = [event.type for event in told if event.generation == number]
            last = f"run.{status}" in types if status in TERMINAL_RUN else True
            if not last or ("run.started" in types) is (started_at is None):
                yield f"{_of_run(row)} tells {types} in generation {number}"
        happened: dict[tuple[str, int], Counter[str]] = {}
        for event in told:
            if event.step and not event.of_run:
                happened.setdefault((event.step, event.generation), Counter())[event.type] += 1
        for slug, generation in sorted(happened):
            if (row.id, slug, generation) not in run.steps:
                yield f"{_of_run(row)} tells of step {slug}/{generation}, which has no row"
        for step in run.steps.values():
            yield from _untold(step, happened.get((step.slug, step.generation), Counter()))
        yield from _unkept_retries(run, told)
        yield from _untold_annotations(run, told)


def I19_sequence(store: Store) -> Iterator[str]:
    """The sequence per run is 1…n, and the run knows what comes next."""
    for run in store.runs.values():
        expected = 1
        for batch in run.batches():
            if batch.first_sequence != expected:
                yield f"{_of_run(run.row)} has event {batch.first_sequence} where {expected} should be"
            told = len(told_by(batch))
            if batch.count != told:
                yield f"{_of_run(run.row)} has {told} events at {batch.first_sequence}, not {batch.count}"
            expected = batch.first_sequence + batch.count
        if run.row.next_sequence != expected:
            yield f"{_of_run(run.row)} continues with {run.row.next_sequence}, not {expected}"


def I22_one_run_per_key(store: Store) -> Iterator[str]:
    """One run per (flow, key)."""
    rows = (run.row for run in store.runs.values())
    holders = Counter((row.flow, row.key) for row in rows if row.key is not None)
    for (flow, key), number in holders.items():
        if number > 1:
            yield f"key {key!r} of flow {flow} has {number} runs"


def I25_nothing_live_in_terminal_run(store: Store) -> Iterator[str]:
    """No live task in a terminal run, nor a live step; no live task in a terminal step."""
    for run in store.runs.values():
        ended = run.row.status in TERMINAL_RUN
        for step in run.steps.values():
            if ended and step.status in LIVE_STEP:
                yield f"{_of_step(step)} is live in a run that is {run.row.status}"
        for task in run.tasks.values():
            parent = run.steps.get((run.row.id, task.key.step, task.key.generation))
            if task.status in LIVE_TASK and (ended or parent is None or parent.status in TERMINAL_STEP):
                yield f"{_of_task(task)} is live in a run that is {run.row.status}"


def I30_shape_never_changes(store: Store) -> Iterator[str]:
    """A run's shape never changes: its `flow_id` stands for the flow, version and fingerprint it started with."""
    shapes = {row.flow_id: (row.slug, row.version, row.fingerprint) for row in store.flows.values()}
    for run in store.runs.values():
        row = run.row
        pinned = (row.flow, row.version, row.fingerprint)
        if shapes.get(row.flow_id, pinned) != pinned:
            yield f"{_of_run(row)} is pinned to {pinned}, its flow is {shapes[row.flow_id]}"


def I32_queued_tasks_are_findable(store: Store) -> Iterator[str]:
    """Every queued task can be found by the sweep even if all messages are lost, and every lease by the reaper.

    So can whatever waits for a time.
    """
    findable = store.queued.findable()
    waiting, overdue = store.waiting.findable(), store.deadlines.findable()
    for _, task in _tasks(store):
        if (task.status is TaskStatus.QUEUED) is not (task.key in findable):
            yield f"{_of_task(task)} is not where the index of queued tasks has it"
        if (task.status is TaskStatus.RUNNING) is not store.leased.holds(task):
            yield f"{_of_task(task)} is not where the index of leases has it"
        if (task.wake_at is not None) is not (task.key in waiting):
            yield f"{_of_task(task)} is not where the index of waiting tasks has it"
    for run in store.runs.values():
        if (run.row.deadline_at is not None) is not (run.row.id in overdue):
            yield f"{_of_run(run.row)} is not where the index of deadlines has it"


INVARIANTS: Sequence[Callable[[Store], Iterator[str]]] = (
    I1_terminal_is_absorbing,
    I2_statuses_agree,
    I3_one_outcome,
    I4_outcome_of_latest_claim,
    I5_tokens_increase,
    I6_one_live_lease,
    I10_dependencies_settled,
    I11_remaining_tasks,
    I12_remaining_dependencies,
    I13_remaining_steps,
    I14_step_completion,
    I15_run_completion,
    I16_outputs_aligned,
    I17_one_terminal_event,
    I18_changes_have_events,
    I19_sequence,
    I20_sinks_get_prefixes,
    I21_published_means_accepted,
    I22_one_run_per_key,
    I25_nothing_live_in_terminal_run,
    I26_suspended_waits,
    I27_consumed_once,
    I30_shape_never_changes,
    I32_queued_tasks_are_findable,
    I33_nothing_is_lost,
)


OF_ALL_RUNS = frozenset({I22_one_run_per_key, I30_shape_never_changes, I32_queued_tasks_are_findable})
"""Those that compare runs with each other, or with what the store has beside them."""

OF_OUTBOX = frozenset({I20_sinks_get_prefixes, I21_published_means_accepted, I33_nothing_is_lost})
"""Those that deliveries alone can break. Each of the others looks at one run after the other, by itself."""


def broken_invariants(
    store: Store, *, lines_max: int = LINES_PER_INVARIANT_MAX, changed: Collection[str] | None = None
) -> Mapping[str, Sequence[str]]:
    """The invariants that do not hold, by name, with a line for each of the first rows that break one.

    Needs the store's mutex.

    Args:
        store: what is committed.
        lines_max: lines for each invariant.
        changed: the runs of which rows have changed since nothing was broken, besides deliveries; None for all. Only
            what that can have broken is looked for.
    """
    part = store if not changed else _with_runs(store, changed)
    found: dict[str, list[str]] = {}
    for invariant in INVARIANTS:
        if changed is None or changed or invariant in OF_OUTBOX:
            seen = store if invariant in OF_ALL_RUNS or invariant in OF_OUTBOX else part
            found[invariant.__name__] = list(islice(invariant(seen), lines_max))
    return {name: lines for name, lines in found.items() if lines}


def _with_runs(store: Store, runs: Collection[str]) -> Store:
    """The same store as if it had these runs only."""
    part = copy(store)
    part.runs = {run_id: store.runs[run_id] for run_id in runs}
    return part


def _untold(step: Step, told: Counter[str]) -> Iterator[str]:
    """Where a step's events and its status differ. A step that is cancelled with its run has no event of its own.

    A step resumes when what it waited for is there, so one that ended otherwise may have been suspended to its end.
    """
    started = "step.started" in told
    ended = told.keys() & {"step.completed", "step.failed", "step.skipped"}
    wanted = {f"step.{step.status}"} if step.status in TERMINAL_STEP - {StepStatus.CANCELLED} else set[str]()
    runs = step.status in (StepStatus.RUNNING, StepStatus.SUSPENDED)
    must_start = runs or (step.status is StepStatus.COMPLETED and step.elements != step.gaps)
    may_start = step.status is not StepStatus.CREATED and step.elements != step.gaps
    unmarked = started is (step.started_at is None)
    waits = told["step.suspended"] - told["step.resumed"]
    waiting = {
        StepStatus.SUSPENDED: (1,),
        StepStatus.FAILED: (0, 1),
        StepStatus.SKIPPED: (0, 1),
        StepStatus.CANCELLED: (0, 1),
    }
    untold = ended != wanted or unmarked or waits not in waiting.get(step.status, (0,))
    if untold or (must_start and not started) or (started and not may_start):
        yield f"{_of_step(step)} tells {sorted(told)}"


def _unkept_retries(run: StoredRun, told: Sequence[Told]) -> Iterator[str]:
    """Where retries and kept attempts differ: all but the last attempt of a task that failed in one were retried."""
    retried = Counter((event.step or "", event.generation) for event in told if event.type == "task.retrying")
    kept = Counter((key.step, key.generation) for key, _ in run.attempts)
    ended = (task for task in run.tasks.values() if task.status is TaskStatus.FAILED and task.worker is not None)
    kept.subtract(map(_place, ended))
    for place in sorted({*retried, *kept}):
        if retried[place] != kept[place]:
            yield f"step {run.row.id}/{place[0]}/{place[1]} tells {retried[place]} retries and had {kept[place]}"


def _untold_annotations(run: StoredRun, told: Sequence[Told]) -> Iterator[str]:
    """Where a run's annotations are not what its events come to: of each the last word counts, null takes it away."""
    said = [event.annotations or {} for event in told if event.type == "run.annotated"]
    found = None if run.annotations is None else searched(run.annotations)
    if found != (come_to(said) if said else None):
        yield f"{_of_run(run.row)} is annotated with {run.annotations!r}, and tells otherwise"


def _left(run: StoredRun) -> Iterator[tuple[int, RunStatus, datetime | None]]:
    """The generations that a run has left: each with how it ended and when it had started."""
    return ((number, ending.status, ending.started_at) for number, ending in run.endings.items())


def _completed_before(run: StoredRun, step: Step) -> list[int]:
    """What a step had completed in the generations before its own that count for it."""
    if step.retry_of is None:
        return []
    return [
        task.key.element
        for task in run.tasks.values()
        if task.key.step == step.slug
        and task.key.generation in step.counted[1:]
        and task.status is TaskStatus.COMPLETED
    ]


def _never_started(step: Step) -> bool:
    """Whether a step was skipped for its condition, not for the failure of a task."""
    return step.status is StepStatus.SKIPPED and step.started_at is None


def _steps(store: Store) -> Iterator[tuple[StoredRun, Step]]:
    return ((run, step) for run in store.runs.values() for step in run.steps.values())


def _tasks(store: Store) -> Iterator[tuple[StoredRun, Task]]:
    return ((run, task) for run in store.runs.values() for task in run.tasks.values())


def _running(store: Store) -> Iterator[StoredRun]:
    return (run for run in store.runs.values() if run.row.status is RunStatus.RUNNING)


def _current_steps(run: StoredRun) -> list[Step]:
    return [run.steps[run.row.id, slug, generation] for slug, generation in run.generations.items()]


def _told(store: Store) -> Iterator[tuple[StoredRun, Sequence[Told]]]:
    return ((run, [event for batch in run.batches() for event in told_by(batch)]) for run in store.runs.values())


def _place(task: Task) -> tuple[str, int]:
    return task.key.step, task.key.generation


def _of_run(run: Run) -> str:
    return f"run {run.id} ({run.status})"


def _of_step(step: Step) -> str:
    return f"step {step.run_id}/{step.slug}/{step.generation} ({step.status})"


def _of_task(task: Task) -> str:
    return f"task {task.key} ({task.status}, token {task.token})"
