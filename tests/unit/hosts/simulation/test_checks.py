"""What is checked of committed states: each check finds what was planted, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import timedelta

import pytest

from fairlead.adapters.memory.invariants import broken_invariants
from fairlead.adapters.memory.rows import StoredRun, Task
from fairlead.adapters.memory.store import Store
from fairlead.hosts.simulation.checks import Change, RowChecks
from fairlead.hosts.simulation.healing import Healing
from fairlead.hosts.simulation.ledger import RETURNED, Execution, Ledger
from fairlead.hosts.simulation.patience import Patience, Standing
from fairlead.hosts.simulation.timeline import Timeline
from fairlead.ports.records import Lease, TaskKey, TaskPhase
from fairlead.ports.statuses import TERMINAL_TASK, RunStatus, TaskStatus
from tests.unit.adapters.memory.test_invariants import World


class Looked:
    """A store that work has filled, and checks that have seen it as it was."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ledger = Ledger()
        self.timeline = Timeline(lambda: 0.0)
        for task in self.tasks():
            executed = Execution(
                str(task.key),
                task.key.step,
                task.attempts,
                task.attempts,
                TaskPhase.RUN,
                "host",
                0.0,
                ended_s=0.0,
                how=RETURNED,
            )
            self.ledger.executions[str(task.key)].append(executed)
        self.checks = RowChecks(store, self.ledger, [], self.timeline)
        assert self.checks.problems() == []
        assert self.checks.problems() == []

    def tasks(self, *statuses: TaskStatus) -> list[Task]:
        """All tasks that have one of these statuses."""
        every = [task for run in self.store.runs.values() for task in run.tasks.values()]
        return [task for task in every if not statuses or task.status in statuses]

    def run(self, status: RunStatus) -> StoredRun:
        """A run that has it."""
        return next(run for run in self.store.runs.values() if run.row.status is status)


@pytest.fixture
async def looked() -> Looked:
    """A store as it was left by work, and seen."""
    return Looked((await World().fill()).store)


def _extended(looked: Looked) -> Task:
    """A running task whose lease is longer than it was."""
    task = looked.tasks(TaskStatus.RUNNING)[0]
    assert task.lease_until is not None
    task.lease_until += timedelta(seconds=5)
    looked.store.leased.put(task)
    return task


async def test_a_heartbeat_extends_what_it_names(looked: Looked) -> None:
    """The lease under the token that it has."""
    task = _extended(looked)

    assert looked.checks.problems([Lease(task.key, task.token)]) == []
    assert looked.checks.problems([Lease(task.key, task.token - 1)]) == []


@pytest.mark.fault(20, 42)
async def test_a_stale_heartbeat_that_changes_something(looked: Looked) -> None:
    """I7: under an older token a lease is not extended."""
    task = _extended(looked)

    (problem,) = looked.checks.problems([Lease(task.key, task.token - 1)])

    assert problem.startswith("I7: a heartbeat under")


async def test_a_heartbeat_that_changes_more(looked: Looked) -> None:
    """I7: it extends leases, and does nothing else, neither to the task nor to its run."""
    task = _extended(looked)
    task.worker = "another"
    looked.run(RunStatus.RUNNING).row.priority += 1

    problems = looked.checks.problems([Lease(task.key, task.token)])

    assert any(problem.startswith("I7: a heartbeat has made of") for problem in problems)
    looked.run(RunStatus.PENDING).row.priority += 1
    assert any("I7: a heartbeat has changed run" in problem for problem in looked.checks.problems([]))


FIELDS: dict[str, Callable[[Task], object]] = {
    "attempts": lambda task: task.attempts + 1,
    "losses": lambda task: task.losses + 1,
    "worker": lambda _: "another",
    "lease_until": lambda task: (task.lease_until or task.created_at) + timedelta(1),
    "wake_at": lambda task: task.created_at,
    "output": lambda _: b"2",
    "reason": lambda _: "another",
    "queue": lambda _: "another",
    "token": lambda task: task.token + 1,
}


@pytest.mark.parametrize("name", FIELDS)
async def test_any_field_of_what_has_ended(looked: Looked, name: str) -> None:
    """I1: a terminal task that is changed in its place is seen, whatever of it is changed."""
    for status in sorted(TERMINAL_TASK):
        for task in looked.tasks(status)[:1]:
            setattr(task, name, FIELDS[name](task))

            assert any(problem.startswith("I1: ") and name in problem for problem in looked.checks.problems())


async def test_rows_added_to_a_cancelled_run(looked: Looked) -> None:
    """I24: a run that was cancelled gets no task any more, not even one that has ended."""
    run = looked.run(RunStatus.CANCELLED)
    task = copy(next(iter(run.tasks.values())))
    task.key = TaskKey(task.key.run_id, task.key.step, task.key.generation, 99)
    run.tasks[task.key] = task

    assert any(problem.startswith("I24: ") for problem in looked.checks.problems())


async def test_a_change_that_no_table_has(looked: Looked) -> None:
    """I2: from queued to completed in one commit. I5: a token that falls."""
    queued = looked.tasks(TaskStatus.QUEUED)[0]
    queued.status = TaskStatus.COMPLETED
    running = looked.tasks(TaskStatus.RUNNING)[0]
    running.token -= 1

    problems = looked.checks.problems()

    assert f"I2: {queued.key} was queued and is completed" in problems
    assert any(problem.startswith("I5: the token of") for problem in problems)


async def test_a_completion_that_nobody_has_worked_for(looked: Looked) -> None:
    """I9: a handler has to have returned in that very attempt."""
    running = looked.tasks(TaskStatus.RUNNING)[0]
    looked.ledger.executions.clear()
    running.status = TaskStatus.COMPLETED

    assert any(problem.startswith("I9: ") for problem in looked.checks.problems())


def _row(run: StoredRun) -> None:
    run.row.remaining_steps += 1


def _step(run: StoredRun) -> None:
    next(iter(run.steps.values())).failed_tasks += 1


def _event(run: StoredRun) -> None:
    batch = copy(run.events[1])
    batch.count += 1
    run.events[1] = batch


def _annotation(run: StoredRun) -> None:
    run.row.signals += 1


@pytest.mark.parametrize("plant", [_row, _step, _event, _annotation])
async def test_what_is_checked_of_changed_runs_alone(looked: Looked, plant: Callable[[StoredRun], None]) -> None:
    """It finds what checking everything finds."""
    plant(looked.run(RunStatus.RUNNING))

    whole = broken_invariants(looked.store)
    problems = looked.checks.problems()

    assert whole
    assert set(whole) <= {problem.partition(":")[0] for problem in problems}


async def test_what_is_recorded_is_in_the_trace(looked: Looked) -> None:
    """Two courses that differ in an output alone have two traces."""
    before = looked.timeline.digest
    running = looked.tasks(TaskStatus.RUNNING)[0]
    running.status, running.output = TaskStatus.COMPLETED, b"1"
    again = Looked((await World().fill()).store)
    other = again.tasks(TaskStatus.RUNNING)[0]
    other.status, other.output = TaskStatus.COMPLETED, b"2"
    looked.checks.problems()
    again.checks.problems()

    assert len({before, looked.timeline.digest, again.timeline.digest}) == 3


async def test_what_is_given_back_is_written_down(looked: Looked) -> None:
    """The attempt may be called again, and so is not held against the framework."""
    task = looked.tasks(TaskStatus.RUNNING)[0]
    attempt = task.attempts
    task.status, task.attempts = TaskStatus.QUEUED, attempt - 1
    looked.checks.problems()

    assert looked.ledger.given_back == {(str(task.key), attempt): 1}


# Once nothing strikes any more


def _changes(looked: Looked) -> tuple[Change, Change, Change]:
    """A claim, the loss of its lease, and its being given back."""
    running = looked.tasks(TaskStatus.RUNNING)[0]
    queued, lost, back = copy(running), copy(running), copy(running)
    queued.status, queued.token, queued.attempts = TaskStatus.QUEUED, running.token - 1, running.attempts - 1
    lost.status, lost.losses = TaskStatus.QUEUED, running.losses + 1
    back.status, back.attempts = TaskStatus.QUEUED, running.attempts - 1
    return Change(queued, running), Change(running, lost), Change(running, back)


async def test_a_lease_that_is_lost_in_a_healed_world(looked: Looked) -> None:
    """I34: only leases that were taken while something still had effects are lost."""
    claim, loss, _ = _changes(looked)
    healing = Healing(lease_s=5, machines=1)
    healing.begin(100)

    assert list(healing.problems([claim], 110)) == []
    assert list(healing.problems([loss], 120)) == []
    assert list(healing.problems([claim], 200)) == []
    (problem,) = healing.problems([loss], 220)
    assert problem.startswith("I34: ")


async def test_a_time_that_has_jumped(looked: Looked) -> None:
    """Who stood still goes on only then, so it is still as it was."""
    claim, loss, _ = _changes(looked)
    healing = Healing(lease_s=5, machines=1)
    healing.begin(100)
    healing.jumped(10_000)

    assert not healing.is_well(10_001)
    assert list(healing.problems([claim], 10_001)) == list(healing.problems([loss], 10_010)) == []


async def test_a_task_that_is_given_back_again_and_again(looked: Looked) -> None:
    """I34: hosts that end give back, and no others; before the faults are over nobody counts."""
    _, _, back = _changes(looked)
    healing = Healing(lease_s=5, machines=1)
    assert list(healing.problems([back, back, back], 90)) == []
    healing.begin(100)

    assert list(healing.problems([back, back], 110)) == []
    (problem,) = healing.problems([back], 120)
    assert problem.startswith("I34: ")


def test_work_that_waits_beside_an_idle_host() -> None:
    """I35: time counts while the same thing waits and a machine has no lease at all."""
    key = TaskKey("run", "a", 1, 0)
    busy = frozenset({"host-1.1", "host-2.3.1-0"})

    def standing(owed: TaskKey | None, workers: frozenset[str] = frozenset()) -> Standing:
        return Standing(busy=False, waits=False, next_at=None, progress=0, owed=owed, workers=workers)

    patience = Patience()
    for _ in range(3):
        patience.starve(standing(key, frozenset({"host-1.1"})), 2, 10)
    assert patience.starving_s == 20
    patience.starve(standing(key, busy), 2, 10)
    assert patience.starving_s == 0
    patience.starve(standing(key), 2, 10)
    patience.starve(standing(None), 2, 10)
    assert patience.starving_s == 0


@pytest.mark.fault(4)
async def test_two_tasks_that_may_be_killers_in_one_host(looked: Looked) -> None:
    """P2: a host holds one task that has lost a lease before; another only once the first one's handler was stopped."""
    suspect = looked.tasks(TaskStatus.RUNNING)[0]
    another = copy(suspect)
    another.key = suspect.key._replace(element=suspect.key.element + 1)
    run = looked.store.runs[suspect.key.run_id]
    for task in (suspect, another):
        task.losses, task.attempts = 1, 9
        run.tasks[task.key] = task
        run.live[task.key] = None
        looked.ledger.executions[str(task.key)].clear()

    def dangers() -> list[str]:
        return [each for each in looked.checks.problems() if each.startswith("P2")]

    assert dangers() == [
        f"P2: {suspect.worker} holds 2 tasks that have lost a lease before: {suspect.key}, {another.key}"
    ]
    called = Execution(str(suspect.key), suspect.key.step, suspect.attempts, suspect.token, TaskPhase.RUN, "host", 0.0)
    looked.ledger.executions[str(suspect.key)].append(called)
    suspect.losses += 1
    assert len(dangers()) == 1, "it still runs"
    called.ended_s = 1.0
    suspect.losses += 1
    assert dangers() == []
