"""Why nothing happens in a run, as far as its tasks and the work of others tell."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.hosts.cli.idleness import idle_reason, unclaimed_reason
from fairlead.ports.reading import TaskRecord, WorkInHand
from fairlead.ports.statuses import RunStatus, TaskStatus
from tests.support.looks import run_record, task_record
from tests.support.records import at

QUEUED, RUNNING, COMPLETED = TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.COMPLETED


def reason(tasks: Sequence[TaskRecord], *work: WorkInHand) -> str | None:
    """Why no task of a run of flow `orders` makes progress, after 10 s."""
    return idle_reason(run_record(), tasks, work, at(20), "10 s")


def busy(*, queue: str = "default", flow: str = "orders", version: str = "1") -> WorkInHand:
    """Tasks that workers have in their hands."""
    return WorkInHand(queue=queue, flow=flow, version=version, tasks=3)


def test_a_worker_that_is_busy_is_left_alone() -> None:
    """A long handler is no reason to worry, whatever waits beside it."""
    busy = task_record(RUNNING, lease_until=at(30), worker="w")

    assert reason([busy, task_record(QUEUED)]) is None
    assert reason([]) is None
    assert reason([task_record(COMPLETED)]) is None


def test_tasks_that_nobody_takes_are_told_with_their_queues() -> None:
    """Whoever started a worker for other queues sees why it does nothing."""
    tasks = [task_record(QUEUED, queue="mail"), task_record(QUEUED, queue="gpu"), task_record(QUEUED, ready_at=at(99))]

    assert reason(tasks[:1]) == (
        "1 task waits in queue 'mail', and no worker has taken any for 10 s; is one running that serves it?"
    )
    assert reason(tasks) == (
        "2 tasks wait in queue 'gpu', 'mail', and no worker has taken any for 10 s; is one running that serves it?"
    )


def test_a_worker_that_has_gone_is_named() -> None:
    """Its lease is over, and nobody has taken the task back."""
    lost = task_record(RUNNING, lease_until=at(10), worker="w-1")

    assert reason([lost]) == ("worker w-1 has gone silent; what it had in its hands waits for another worker")


def test_a_retry_that_is_not_due_is_told() -> None:
    """Nothing is wrong: the next attempt has its time."""
    assert reason([task_record(QUEUED, ready_at=at(50))]) == "the next attempt is due in 30.0 s"


def test_workers_that_are_busy_with_other_runs_are_not_missed() -> None:
    """They have the flow and serve the queue; this run's turn comes after what is in front of it."""
    assert reason([task_record(QUEUED)], busy()) == (
        "1 task waits in queue 'default'; workers are busy with other runs in front of it"
    )
    assert reason([task_record(QUEUED)] * 2, busy(), busy(flow="parade")) == (
        "2 tasks wait in queue 'default'; workers are busy with other runs in front of them"
    )
    assert unclaimed_reason(run_record(RunStatus.PENDING), [busy()], "10 s") == (
        "workers are busy with other runs in front of it"
    )


def test_workers_of_other_queues_and_flows_are_no_help() -> None:
    """What is missing is asked for: somebody who serves the queue, or who has the flow in this version."""
    tasks = [task_record(QUEUED), task_record(QUEUED, queue="gpu")]

    assert reason(tasks, busy()) == (
        "1 task waits in queue 'gpu', and no worker has taken any for 10 s; is one running that serves it?"
    )
    assert reason(tasks[:1], busy(version="2")) == (
        "1 task waits in queue 'default', whose workers are busy with other flows; "
        "is one running that has flow 'orders' in version 1?"
    )
    assert unclaimed_reason(run_record(RunStatus.PENDING), [busy(flow="parade")], "10 s") == (
        "no worker has claimed it for 10 s; is one running that has flow 'orders' in version 1?"
    )
