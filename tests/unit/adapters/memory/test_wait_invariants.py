"""What breaks an invariant of waiting is found in memory, by name, in a run that waits in every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from fairlead.adapters.memory import MemoryPersistence
from fairlead.adapters.memory.invariants import broken_invariants
from fairlead.adapters.memory.rows import StoredRun, Task
from fairlead.adapters.memory.store import Store
from fairlead.ports.changes import NewAttempt
from fairlead.ports.records import Lease, SignalRow, TaskKey, TaskPhase, WaitsFor
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import START, at, run_id
from tests.support.scenes import register
from tests.support.waits import run_that_waits

RUN = run_id(1)


@pytest.fixture
async def store() -> Store:
    """A healthy store with that run."""
    store = Store()
    persistence = MemoryPersistence(store)
    await run_that_waits(persistence, await register(persistence))
    return store


def _run(store: Store) -> StoredRun:
    return store.runs[RUN]


def _task(store: Store, slug: str) -> Task:
    return _run(store).tasks[TaskKey(RUN, slug, 1, 0)]


def _signal(store: Store, slug: str, key: str = "key-1") -> SignalRow:
    return _run(store).signals[RUN, slug, key]


def _keep_a_deadline(store: Store) -> None:
    _run(store).row.status = RunStatus.COMPLETED


def _say_not_what_for(store: Store) -> None:
    _task(store, "approval").waits_for = None


def _sleep_without_end(store: Store) -> None:
    _task(store, "nap").wake_at = None


def _check_without_state(store: Store) -> None:
    _task(store, "batch").state = None


def _check_in_the_wrong_phase(store: Store) -> None:
    _task(store, "batch").phase = TaskPhase.RUN


def _check_after_giving_up(store: Store) -> None:
    _task(store, "batch").give_up_at = at(59)


def _wait_after_the_end(store: Store) -> None:
    _task(store, "answer").waits_for = WaitsFor.SIGNAL


def _look_at_what_has_ended(store: Store) -> None:
    _task(store, "answer").wake_at = at(1)


def _wait_below_a_running_step(store: Store) -> None:
    _run(store).steps[RUN, "nap", 1].status = StepStatus.RUNNING


def _suspend_a_step_that_runs(store: Store) -> None:
    task = _task(store, "batch")
    task.status, task.phase = TaskStatus.QUEUED, TaskPhase.RUN


def _forget_a_kept_signal(store: Store) -> None:
    _run(store).row.signals = 0


def _keep_two_signals(store: Store) -> None:
    _run(store).signals[RUN, "review", "key-2"] = replace(_signal(store, "review"), key="key-2")
    _run(store).row.signals = 2


def _keep_a_signal_from_who_waits(store: Store) -> None:
    _run(store).signals[RUN, "approval", "key-1"] = replace(_signal(store, "review"), step="approval")
    _run(store).row.signals = 2


def _consume_two_signals(store: Store) -> None:
    _run(store).signals[RUN, "answer", "key-2"] = replace(_signal(store, "answer"), key="key-2")


def _consume_a_signal_for_nothing(store: Store) -> None:
    _run(store).signals[RUN, "review", "key-1"] = replace(_signal(store, "review"), consumed_at=START)
    _run(store).row.signals = 0


def _end_a_wait_twice(store: Store) -> None:
    _task(store, "answer").token = 2


def _blame_a_worker(store: Store) -> None:
    _task(store, "late").worker = "worker-1"


def _attempt_for_nobody(store: Store) -> None:
    key = TaskKey(RUN, "late", 1, 0)
    _run(store).attempts[Lease(key, 1)] = NewAttempt(
        key=key, token=1, attempt=1, worker=None, ended_at=START, reason="timed_out", error=None
    )


def _suspend_silently(store: Store) -> None:
    for batch in _run(store).events.values():
        batch.events = batch.events.replace(b"step.suspended", b"nothing.happened")


def _resume_silently(store: Store) -> None:
    step = _run(store).steps[RUN, "nap", 1]
    step.status, step.ended_at = StepStatus.COMPLETED, START


def _hide_a_wait(store: Store) -> None:
    _task(store, "nap").entry = None


def _hide_a_deadline(store: Store) -> None:
    _run(store).row.deadline_at = at(9)


CASES: list[tuple[str, Callable[[Store], None]]] = [
    ("I1_terminal_is_absorbing", _keep_a_deadline),
    ("I3_one_outcome", _end_a_wait_twice),
    ("I3_one_outcome", _blame_a_worker),
    ("I3_one_outcome", _attempt_for_nobody),
    ("I18_changes_have_events", _suspend_silently),
    ("I18_changes_have_events", _resume_silently),
    ("I26_suspended_waits", _say_not_what_for),
    ("I26_suspended_waits", _sleep_without_end),
    ("I26_suspended_waits", _check_without_state),
    ("I26_suspended_waits", _check_in_the_wrong_phase),
    ("I26_suspended_waits", _check_after_giving_up),
    ("I26_suspended_waits", _wait_after_the_end),
    ("I26_suspended_waits", _look_at_what_has_ended),
    ("I26_suspended_waits", _wait_below_a_running_step),
    ("I26_suspended_waits", _suspend_a_step_that_runs),
    ("I27_consumed_once", _forget_a_kept_signal),
    ("I27_consumed_once", _keep_two_signals),
    ("I27_consumed_once", _keep_a_signal_from_who_waits),
    ("I27_consumed_once", _consume_two_signals),
    ("I27_consumed_once", _consume_a_signal_for_nothing),
    ("I32_queued_tasks_are_findable", _hide_a_wait),
    ("I32_queued_tasks_are_findable", _hide_a_deadline),
]


def test_a_run_that_waits_is_healthy(store: Store) -> None:
    """Nothing is reported of a check, a signal, a sleep, a kept signal, and waits that are over."""
    assert broken_invariants(store) == {}


@pytest.mark.parametrize(("name", "break_it"), CASES, ids=[f"{name}-{case.__name__}" for name, case in CASES])
def test_a_broken_invariant_of_waiting_is_named(store: Store, name: str, break_it: Callable[[Store], None]) -> None:
    """The predicate finds the row that was tampered with."""
    break_it(store)

    assert name in broken_invariants(store)
