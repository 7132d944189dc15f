"""Why a run is where it is, from what is stored of it and the hosts that say they are there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.kernel import Cause, CauseKind, Explanation, RunDetails, RunStatus, StepStatus, TaskStatus
from fairlead.kernel.explaining import explain
from fairlead.kernel.failures import encode_failure
from fairlead.kernel.workers import SILENT_AFTER, Worker, as_worker
from fairlead.ports.reading import AttemptRecord, RunRecord, StepRecord, TaskRecord
from fairlead.ports.records import TaskKey, TaskPhase, WaitsFor
from fairlead.ports.workers import HostKind, ServedFlow, WorkerRecord

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
RUN = "00000000-0000-7000-8000-000000000001"


def ago(seconds: float) -> datetime:
    """So long before now."""
    return NOW - timedelta(seconds=seconds)


def run(status: RunStatus = RunStatus.RUNNING, **named: Any) -> RunRecord:
    """A run of `orders`, version 3, created an hour ago."""
    fields: dict[str, Any] = {
        "id": RUN,
        "flow": "orders",
        "version": "3",
        "fingerprint": "f",
        "key": None,
        "status": status,
        "generation": 1,
        "priority": 0,
        "remaining_steps": 2,
        "next_sequence": 4,
        "created_at": ago(3600),
        "started_at": ago(3599),
        "ended_at": None,
        "reason": None,
        "error": None,
    }
    return RunRecord(**{**fields, **named})


def step(slug: str, status: StepStatus) -> StepRecord:
    """A step of that run."""
    return StepRecord(
        run_id=RUN,
        slug=slug,
        generation=1,
        status=status,
        remaining_dependencies=0,
        elements=1,
        remaining_tasks=1,
        failed_tasks=0,
        cursor=1,
        started_at=None,
        ended_at=None,
        reason=None,
        error=None,
    )


def task(status: TaskStatus, *, element: int = 0, **named: Any) -> TaskRecord:
    """A task of its step `pack`."""
    fields: dict[str, Any] = {
        "key": TaskKey(RUN, "pack", 1, element),
        "status": status,
        "phase": TaskPhase.RUN,
        "queue": "default",
        "priority": 0,
        "token": 1,
        "settled_token": 0,
        "attempts": 1,
        "losses": 0,
        "worker": None,
        "lease_until": None,
        "ready_at": ago(60),
        "created_at": ago(60),
        "started_at": None,
        "ended_at": None,
        "reason": None,
        "error": None,
        "has_output": False,
    }
    return TaskRecord(**{**fields, **named})


def host(worker: str = "host-1", *, seen_at: datetime = NOW, **named: Any) -> Worker:
    """A host that has the flow and serves the default queue."""
    fields: dict[str, Any] = {
        "worker": worker,
        "kind": HostKind.NODE,
        "host": "machine",
        "pid": 7,
        "flows": (ServedFlow("orders", "3"),),
        "queues": ("default",),
        "slots": 50,
        "started_at": ago(7200),
        "seen_at": seen_at,
    }
    return as_worker(WorkerRecord(**{**fields, **named}), NOW)


def why(*tasks: TaskRecord, hosts: tuple[Worker, ...] = (host(),), **named: Any) -> Explanation:
    """Why a run with these tasks is where it is."""
    attempts = named.pop("attempts", ())
    steps = (step("pack", StepStatus.RUNNING), step("ship", StepStatus.CREATED))
    details = RunDetails(run=run(**named), steps=steps, tasks=tasks, attempts=attempts, events=(), generations=())
    return explain(details, hosts, NOW)


def only(found: Explanation) -> Cause:
    """The one cause."""
    (cause,) = found.causes
    return cause


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ((), "no host runs at all"),
        ((host(flows=(ServedFlow("letters", "1"),)),), "1 host runs, none with that flow"),
        ((host(flows=(ServedFlow("orders", "2"), ServedFlow("orders", "4"))),), "hosts that run have version 2, 4"),
        ((host(seen_at=NOW - 2 * SILENT_AFTER),), "no host runs at all"),
    ],
)
def test_a_pending_run_that_no_host_can_take(hosts: tuple[Worker, ...], told: str) -> None:
    """It says which versions there are, if any; a host that fell silent is none."""
    cause = only(why(hosts=hosts, status=RunStatus.PENDING))

    assert cause.kind is CauseKind.NO_HOST
    assert "no host that runs has flow 'orders' in version 3" in cause.what
    assert told in cause.what
    assert "fairlead worker" in cause.remedy


def test_a_pending_run_that_hosts_could_take() -> None:
    """It waits for a slot."""
    cause = only(why(status=RunStatus.PENDING))

    assert (cause.kind, cause.what) == (CauseKind.SLOT, "nobody has claimed the run yet, for 60 min")
    assert cause.remedy == (
        "one of 50 slots becomes free; more of them would take it sooner (host-1 was last heard of 0 s ago)"
    )


def test_a_task_that_is_worked_on() -> None:
    """Who has it, which attempt, since when; the steps behind it wait for it alone."""
    lease = NOW + timedelta(seconds=20)
    found = why(task(TaskStatus.RUNNING, worker="host-1", lease_until=lease, started_at=ago(90), attempts=2))

    cause = only(found)
    assert (cause.kind, cause.step, cause.tasks) == (CauseKind.WORKING, "pack", 1)
    assert cause.what == "pack with host-1 (last heard of 0 s ago), attempt 2: worked on, for 90 s"
    assert cause.remedy.endswith("if that host is gone, its lease ends in 20 s (2026-05-04 12:00:20 UTC)")
    assert found.behind == ("ship",)


@pytest.mark.parametrize(
    ("hosts", "lease_s", "told", "remedy"),
    [
        (
            (host(), host("host-2", ended_at=ago(5))),
            20,
            "which is ended; its lease ends in 20 s",
            "a host takes it back",
        ),
        ((host(), host("host-2", seen_at=ago(3600))), 20, "which is silent; its lease ends", "a host takes it back"),
        ((host(),), -30, "whose lease ended 30 s ago", "a host takes it back within seconds"),
        ((), -30, "whose lease ended", "has to run, and none does: `fairlead worker MODULE:KERNEL`"),
        (
            (host(flows=(ServedFlow("letters", "1"),)),),
            -30,
            "whose lease ended",
            "has to run, and none does: `fairlead worker MODULE:KERNEL`",
        ),
    ],
)
def test_a_task_whose_host_is_gone(hosts: tuple[Worker, ...], lease_s: float, told: str, remedy: str) -> None:
    """It goes on when its lease has ended, if any host is there to take it back."""
    until = NOW + timedelta(seconds=lease_s)
    cause = only(why(task(TaskStatus.RUNNING, worker="host-2", lease_until=until), hosts=hosts))

    assert cause.kind is CauseKind.LEASE
    assert told in cause.what
    assert remedy in cause.remedy
    assert cause.until == until + timedelta(seconds=5)


def test_tasks_in_a_queue_that_no_host_serves() -> None:
    """Hosts with the code are there, and none serves it."""
    tasks = [task(TaskStatus.QUEUED, element=element, queue="mail", attempts=0) for element in range(3)]
    cause = only(why(*tasks))

    assert (cause.kind, cause.tasks) == (CauseKind.NO_HOST, 3)
    assert cause.what == "3 tasks of pack ready in queue 'mail', for 60 s; no host that runs serves that queue"
    assert "--queue mail" in cause.remedy


def test_a_task_that_waits_for_its_retry() -> None:
    """Until when, and what was wrong."""
    at = NOW + timedelta(seconds=40)
    waiting = task(TaskStatus.QUEUED, element=4, ready_at=at)
    error = encode_failure(type="ValueError", message="no stock", attempt=1)
    attempt = AttemptRecord(
        key=waiting.key, token=1, attempt=1, worker="h", ended_at=ago(1), reason="handler_failed", error=error
    )
    cause = only(why(waiting, attempts=(attempt,)))

    assert (cause.kind, cause.until) == (CauseKind.RETRY, at)
    assert cause.remedy == "the time passes, and a host is there by then (host-1 was last heard of 0 s ago)"
    assert (
        cause.what
        == "pack[4] tried again in 40 s (2026-05-04 12:00:40 UTC); attempt 1 ended handler_failed: ValueError: no stock"
    )


def test_a_blob_that_cannot_be_read() -> None:
    """The remedy names the place that hosts must share."""
    waiting = task(TaskStatus.QUEUED, ready_at=NOW + timedelta(seconds=40))
    attempt = AttemptRecord(
        key=waiting.key, token=1, attempt=1, worker="h", ended_at=ago(1), reason="blob_corrupt", error=None
    )

    assert "--blobs" in only(why(waiting, attempts=(attempt,))).remedy


def test_a_task_that_is_held_back_by_a_start_delay() -> None:
    """Nothing has been tried yet."""
    cause = only(why(task(TaskStatus.QUEUED, attempts=0, ready_at=NOW + timedelta(hours=3))))

    assert cause.kind is CauseKind.DELAY
    assert cause.what == "pack held back by a start delay that ends in 3 h (2026-05-04 15:00:00 UTC)"


@pytest.mark.parametrize(
    ("waits_for", "wake_s", "kind", "told"),
    [
        (WaitsFor.SIGNAL, None, CauseKind.SIGNAL, "pack waits for a signal, for as long as it takes"),
        (
            WaitsFor.SIGNAL,
            3 * 86400,
            CauseKind.SIGNAL,
            "pack waits for a signal; its time ends in 3 days (2026-05-07 12:00:00 UTC): then it fails as timed_out, "
            "or is skipped by its on_timeout",
        ),
        (WaitsFor.TIME, 600, CauseKind.SLEEP, "pack sleeps, and wakes in 10 min (2026-05-04 12:10:00 UTC)"),
        (
            WaitsFor.CHECK,
            30,
            CauseKind.CHECK,
            "pack waits for outside work, not ready when checked 2 times; its next check is in 30 s "
            "(2026-05-04 12:00:30 UTC)",
        ),
    ],
)
def test_a_step_that_waits(waits_for: WaitsFor, wake_s: float | None, kind: CauseKind, told: str) -> None:
    """For what, and until when; a signal needs somebody to send it."""
    wake_at = None if wake_s is None else NOW + timedelta(seconds=wake_s)
    cause = only(why(task(TaskStatus.SUSPENDED, waits_for=waits_for, wake_at=wake_at, checks=2)))

    assert (cause.kind, cause.what, cause.until) == (kind, told, wake_at)
    if kind is CauseKind.SIGNAL:
        assert f"`fairlead signal {RUN} pack PAYLOAD --kernel MODULE:KERNEL`" in cause.remedy
    else:
        assert "host-1 was last heard of 0 s ago" in cause.remedy


@pytest.mark.parametrize(
    ("wake_s", "next_check"), [(30, "; its next check is in 30 s (2026-05-04 12:00:30 UTC)"), (1200, "")]
)
def test_a_wait_that_gives_up(wake_s: float, next_check: str) -> None:
    """When, and what happens then; what is looked at next may be that very time."""
    wake_at, give_up_at = (NOW + timedelta(seconds=seconds) for seconds in (wake_s, 1200))
    cause = only(
        why(task(TaskStatus.SUSPENDED, waits_for=WaitsFor.CHECK, wake_at=wake_at, give_up_at=give_up_at, checks=0))
    )

    assert cause.what == (
        f"pack waits for outside work, not checked yet{next_check}; it gives up in 20 min (2026-05-04 12:20:00 UTC): "
        "it fails as timed_out, or is skipped by its on_exhausted"
    )


@pytest.mark.parametrize(
    "waiting",
    [
        task(TaskStatus.SUSPENDED, waits_for=WaitsFor.TIME, wake_at=NOW + timedelta(hours=3)),
        task(TaskStatus.SUSPENDED, waits_for=WaitsFor.SIGNAL),
        task(TaskStatus.SUSPENDED, waits_for=WaitsFor.CHECK, wake_at=NOW + timedelta(hours=3)),
        task(TaskStatus.QUEUED, attempts=0, ready_at=NOW + timedelta(hours=3)),
    ],
    ids=["sleep", "signal", "check", "delay"],
)
def test_time_alone_moves_nothing_where_no_host_runs(waiting: TaskRecord) -> None:
    """It is said before all else, with the command that starts one."""
    gone = host(seen_at=NOW - 2 * SILENT_AFTER)
    (first, *others) = sorted(why(waiting, hosts=(gone,)).causes, key=lambda each: each.kind is not CauseKind.NO_HOST)

    assert first.what == (
        "whatever its time, nothing of it happens while no host runs that has flow 'orders' in version 3 (no host runs "
        "at all; the last, host-1, was last heard of 3 min ago)"
    )
    assert first.remedy == "start a host that has it: `fairlead worker MODULE:KERNEL`"
    assert not any("the time passes" in each.remedy for each in others)
    assert CauseKind.NO_HOST not in [each.kind for each in why(waiting).causes]


def test_a_retry_in_a_queue_that_no_host_serves() -> None:
    """The time alone does not do it."""
    cause = only(why(task(TaskStatus.QUEUED, queue="mail", attempts=0, ready_at=NOW + timedelta(hours=3))))

    assert cause.remedy == (
        "no host that runs serves queue 'mail'; start one by then: `fairlead worker MODULE:KERNEL --queue mail`"
    )


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ((host(seen_at=ago(25)),), "(host-1 was last heard of 25 s ago)"),
        (
            (host(seen_at=ago(70)),),
            "(host-1 was last heard of 70 s ago, though it announces itself every 30 s)",
        ),
        (
            (host(seen_at=ago(70), kind=HostKind.SERVERLESS),),
            "(host-1 was last heard of 70 s ago)",
        ),
        ((host(seen_at=ago(70)), host("host-2", seen_at=ago(5))), "(2 hosts were last heard of 5 s to 70 s ago)"),
    ],
)
def test_a_host_is_believed_no_further_than_it_was_heard_of(hosts: tuple[Worker, ...], told: str) -> None:
    """One that was killed a minute ago still counts as running, so it is told when it was heard of."""
    assert told in only(why(status=RunStatus.PENDING, hosts=hosts)).remedy


def test_a_serverless_host_between_its_calls() -> None:
    """It has the code, and does nothing by itself."""
    between = host(seen_at=ago(600), kind=HostKind.SERVERLESS)
    cause = only(why(status=RunStatus.PENDING, hosts=(between,)))

    assert cause.kind is CauseKind.NO_HOST
    assert "serverless host-1 was last heard of 10 min ago; it works only while it is called" in cause.what


def test_a_wait_that_nobody_looks_at() -> None:
    """Its time has come, and no host that could wake it runs."""
    late = task(TaskStatus.SUSPENDED, waits_for=WaitsFor.TIME, wake_at=ago(600))

    assert only(why(late, hosts=())).kind is CauseKind.NO_HOST
    assert only(why(late)).kind is CauseKind.DEFECT


def test_what_needs_somebody_comes_first() -> None:
    """A signal before a retry that goes on by itself."""
    found = why(
        task(TaskStatus.QUEUED, attempts=0, ready_at=NOW + timedelta(hours=3)),
        task(TaskStatus.SUSPENDED, element=1, waits_for=WaitsFor.SIGNAL),
    )

    assert [cause.kind for cause in found.causes] == [CauseKind.SIGNAL, CauseKind.DELAY]


def test_a_run_that_has_ended() -> None:
    """It does not move any more; a failed one can be retried."""
    error = encode_failure(type="ValueError", message="no stock", attempt=3)
    failed = only(why(status=RunStatus.FAILED, reason="handler_failed", error=error, ended_at=NOW))
    completed = only(why(status=RunStatus.COMPLETED, ended_at=NOW))

    assert failed.what == (
        "the run is failed (handler_failed), and ended at 2026-05-04 12:00:00 UTC: ValueError: no stock"
    )
    assert f"`fairlead runs retry {RUN} --kernel MODULE:KERNEL`" in failed.remedy
    assert completed.kind is CauseKind.ENDED
    assert completed.what == "the run is completed, and ended at 2026-05-04 12:00:00 UTC"
    assert completed.remedy == f"nothing is left to be done; its outputs: `fairlead runs show {RUN} --payloads`"


def test_a_running_run_without_a_live_task_is_a_defect() -> None:
    """It says so, instead of nothing."""
    assert only(why()).kind is CauseKind.DEFECT


def test_a_deadline_that_has_passed() -> None:
    """Any host ends the run."""
    found = why(task(TaskStatus.SUSPENDED, waits_for=WaitsFor.SIGNAL), deadline_at=ago(30), hosts=())

    assert [cause.kind for cause in found.causes] == [CauseKind.SIGNAL, CauseKind.NO_HOST]
    assert "its deadline has passed" in found.causes[1].what


def test_a_deadline_to_come() -> None:
    """Until when, and what happens then; it needs nobody, so what does comes first."""
    at = NOW + timedelta(hours=3)
    found = why(task(TaskStatus.SUSPENDED, waits_for=WaitsFor.SIGNAL), deadline_at=at)

    assert [cause.kind for cause in found.causes] == [CauseKind.SIGNAL, CauseKind.DEADLINE]
    assert found.causes[1].until == at
    assert found.causes[1].what == (
        "its run_timeout ends in 3 h (2026-05-04 15:00:00 UTC): it fails as timed_out if it is not over by then"
    )
