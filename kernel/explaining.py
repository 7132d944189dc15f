"""Why a run stands where it does: what it waits for, and what would move it.

A pure look at what is stored: the run with its steps and tasks, and the hosts that say they are there. What many tasks
of a step have in common is one cause.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from ..ports.reading import AttemptRecord, RunRecord, TaskRecord
from ..ports.records import TaskPhase, WaitsFor
from ..ports.statuses import TERMINAL_RUN, TERMINAL_TASK, RunStatus, StepStatus, TaskStatus
from .commands import CLOCK_SKEW_MAX
from .failures import decode_failure
from .runs import RunDetails
from .workers import Worker, WorkerState, able_workers, running_workers, serving_workers

SOON = timedelta(seconds=10)
"""What has been claimable for less than this needs no explanation: hosts poll."""

BLOB_CORRUPT = "blob_corrupt"
"""The reason of an attempt that could not read what it needs."""


class CauseKind(enum.StrEnum):
    """What kind of cause it is."""

    ENDED = "ended"
    """The run has ended; nothing moves it but a rerun."""
    NO_HOST = "no_host"
    """No host that runs has the code, or serves the queue."""
    SLOT = "slot"
    """It could be claimed, and hosts that would do it are there: they are busy, or about to."""
    WORKING = "working"
    """A host is at it."""
    LEASE = "lease"
    """The host that had it is gone, and its lease has to end."""
    RETRY = "retry"
    """An attempt failed; the next one has its time."""
    DELAY = "delay"
    """Its start delay is not over."""
    CHECK = "check"
    """It is checked again at a time."""
    SIGNAL = "signal"
    """It waits for a signal."""
    SLEEP = "sleep"
    """It waits for a time."""
    DEFECT = "defect"
    """Nothing that is stored says how it could go on."""


@frozen(kw_only=True)
class Cause:
    """One reason why a run is not further."""

    kind: CauseKind
    what: str
    """What is the case, as a sentence without its full stop."""
    remedy: str
    """What moves it, and who has to do it."""
    step: str | None = None
    tasks: int = 0
    """How many tasks of the step it concerns."""
    until: datetime | None = None
    """When it is over by itself, if that is known."""


@frozen(kw_only=True)
class Explanation:
    """Why a run stands where it does."""

    run: RunRecord
    causes: tuple[Cause, ...]
    """Those first that need somebody."""
    behind: tuple[str, ...]
    """The slugs of steps that only wait for steps before them, in order of definition."""


NEEDING_SOMEBODY = (CauseKind.DEFECT, CauseKind.NO_HOST, CauseKind.SIGNAL)
"""Kinds of causes that do not pass by themselves."""


def explain(details: RunDetails, workers: Sequence[Worker], now: datetime) -> Explanation:
    """Tell why a run stands where it does.

    Args:
        details: everything that is kept of the run.
        workers: the hosts that are known.
        now: the time.
    """
    run = details.run
    if run.status in TERMINAL_RUN:
        causes: list[Cause] = [_ended(run)]
    elif run.status is RunStatus.PENDING:
        causes = [_pending(run, workers, now)]
    else:
        causes = list(_running(details, workers, now))
    causes.sort(key=lambda cause: cause.kind not in NEEDING_SOMEBODY)
    behind = tuple(
        step.slug
        for step in details.steps
        if step.status is StepStatus.CREATED and step.generation == run.generation and run.status not in TERMINAL_RUN
    )
    return Explanation(run=run, causes=tuple(causes), behind=behind)


def _ended(run: RunRecord) -> Cause:
    error = "" if run.error is None else _said(run.error)
    why = f" ({run.reason})" if run.reason else ""
    if run.status is RunStatus.COMPLETED:
        remedy = "it is done"
    elif run.reason == BLOB_CORRUPT:
        remedy = (
            f"bring the blob back, then fairlead runs retry {run.id}; or make it anew: fairlead runs rerun {run.id} "
            "--from the step whose output it is; where it is the run's input, start a new run"
        )
    else:
        remedy = f"begin again where it stopped: fairlead runs retry {run.id}"
    return Cause(kind=CauseKind.ENDED, what=f"the run is {run.status}{why}{error}", remedy=remedy)


def _pending(run: RunRecord, workers: Sequence[Worker], now: datetime) -> Cause:
    able = able_workers(workers, run.flow, run.version)
    waited = now - run.created_at
    if not able:
        return _no_host(f"no host that runs has {_code_of(run)}", run, workers, queue=None)
    what = f"nobody has claimed the run yet, {_for(waited)}"
    return Cause(kind=CauseKind.SLOT, what=what, remedy=_busy(able, waited))


def _running(details: RunDetails, workers: Sequence[Worker], now: datetime) -> Iterator[Cause]:
    run = details.run
    live: dict[str, list[TaskRecord]] = {}
    for task in details.tasks:
        if task.status not in TERMINAL_TASK:
            live.setdefault(task.key.step, []).append(task)
    for tasks in live.values():
        yield from _of_step(details, tasks, workers, now)
    if not live:
        yield Cause(
            kind=CauseKind.DEFECT,
            what="the run is running, and no task of it is live",
            remedy="fairlead doctor says which rule is broken; please report it",
        )
    if run.deadline_at is not None and run.deadline_at <= now:
        yield Cause(
            kind=CauseKind.NO_HOST if not running_workers(workers) else CauseKind.WORKING,
            what=f"its deadline has passed, {_for(now - run.deadline_at)}",
            remedy="any host that runs ends it as timed_out within seconds",
        )


def _of_step(
    details: RunDetails, tasks: Sequence[TaskRecord], workers: Sequence[Worker], now: datetime
) -> Iterator[Cause]:
    """The causes of one step's live tasks, those of one kind together."""
    run = details.run
    by_status: dict[TaskStatus, list[TaskRecord]] = {}
    for task in tasks:
        by_status.setdefault(task.status, []).append(task)
    yield from _leased(by_status.get(TaskStatus.RUNNING, ()), workers, now)
    queued = by_status.get(TaskStatus.QUEUED, ())
    ready = [task for task in queued if task.ready_at <= now]
    if ready:
        yield _ready(run, ready, workers, now)
    early = [task for task in queued if task.ready_at > now]
    if early:
        yield _early(early, details.attempts, now)
    for task in by_status.get(TaskStatus.SUSPENDED, ()):
        yield _suspended(run, task, workers, now)


def _leased(tasks: Iterable[TaskRecord], workers: Sequence[Worker], now: datetime) -> Iterator[Cause]:
    by_worker: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        by_worker.setdefault(task.worker or "?", []).append(task)
    for worker, held in by_worker.items():
        first = min(held, key=lambda task: task.lease_until or now)
        until = first.lease_until or now
        what = f"{_tasks(held)} with {worker}, attempt {first.attempts}"
        ended = until <= now
        known = next((each for each in workers if each.holds(worker)), None)
        gone = known is not None and known.state is not WorkerState.RUNNING
        if ended or gone:
            state = "whose lease ended" if ended else f"which is {known.state if known else 'gone'}; its lease ends"
            when = f"{_length(now - until)} ago" if ended else f"in {_length(until - now)}"
            rest = (
                "a host takes it back within seconds"
                if running_workers(workers)
                else "a host has to run: fairlead worker"
            )
            yield _cause(CauseKind.LEASE, held, f"{what}, {state} {when}", rest, until=until + CLOCK_SKEW_MAX)
        else:
            since = "" if first.started_at is None else f", {_for(now - first.started_at)}"
            phase = "checked" if first.phase is TaskPhase.CHECK else "worked on"
            yield _cause(
                CauseKind.WORKING,
                held,
                f"{what}: {phase}{since}",
                "its handler ends, or is stopped by its timeout; its lease is renewed until then",
            )


def _ready(run: RunRecord, tasks: Sequence[TaskRecord], workers: Sequence[Worker], now: datetime) -> Cause:
    queue = tasks[0].queue
    waited = now - min(task.ready_at for task in tasks)
    able = able_workers(workers, run.flow, run.version)
    serving = serving_workers(able, queue)
    what = f"{_tasks(tasks)} ready in queue {queue!r}, {_for(waited)}"
    if not able:
        return _of(_no_host(f"{what}; no host that runs has {_code_of(run)}", run, workers, queue=queue), tasks)
    if not serving:
        remedy = f"start one that does: fairlead worker … --queue {queue}"
        return _cause(CauseKind.NO_HOST, tasks, f"{what}; no host that runs serves that queue", remedy)
    return _cause(CauseKind.SLOT, tasks, what, _busy(serving, waited))


def _early(tasks: Sequence[TaskRecord], attempts: Sequence[AttemptRecord], now: datetime) -> Cause:
    first = min(tasks, key=lambda task: task.ready_at)
    until = first.ready_at
    last = next((each for each in reversed(attempts) if each.key == first.key), None)
    if last is None:
        what = f"{_tasks(tasks)} held back by a start delay for {_length(until - now)}"
        return _cause(CauseKind.DELAY, tasks, what, "the time passes", until=until)
    error = "" if last.error is None else _said(last.error)
    what = f"{_tasks(tasks)} tried again in {_length(until - now)}; attempt {last.attempt} ended {last.reason}{error}"
    remedy = "the time passes"
    if last.reason == BLOB_CORRUPT:
        remedy += "; hosts must all use the blob store that the payload was written to (--blobs)"
    return _cause(CauseKind.RETRY, tasks, what, remedy, until=until)


def _suspended(run: RunRecord, task: TaskRecord, workers: Sequence[Worker], now: datetime) -> Cause:
    step, wake_at = task.key.step, task.wake_at
    in_time = "" if wake_at is None else f" in {_length(wake_at - now)}"
    if wake_at is not None and wake_at + SOON < now:
        what = f"{step} should have been woken {_length(now - wake_at)} ago"
        if able_workers(workers, run.flow, run.version):
            return _cause(CauseKind.DEFECT, [task], what, "fairlead doctor says whether a rule is broken")
        return _of(_no_host(f"{what}; no host that runs has {_code_of(run)}", run, workers, queue=None), [task])
    if task.waits_for is WaitsFor.SIGNAL:
        end = "" if wake_at is None else f"; its time ends{in_time}"
        what = f"{step} waits for a signal{end}"
        remedy = f"somebody answers: fairlead signal {run.id} {step} '…', or with a resume token"
        return _cause(CauseKind.SIGNAL, [task], what, remedy, until=wake_at)
    if task.waits_for is WaitsFor.TIME:
        return _cause(CauseKind.SLEEP, [task], f"{step} sleeps, and wakes{in_time}", "the time passes", until=wake_at)
    give_up = "" if task.give_up_at is None else f"; it gives up in {_length(task.give_up_at - now)}"
    what = f"{step} waits for outside work: next check{in_time}, {task.checks + 1} so far{give_up}"
    return _cause(CauseKind.CHECK, [task], what, "a check finds it ready", until=wake_at)


def _no_host(what: str, run: RunRecord, workers: Sequence[Worker], *, queue: str | None) -> Cause:
    alive = running_workers(workers)
    others = sorted({served.version for each in alive for served in each.record.flows if served.slug == run.flow})
    if others:
        have = f"hosts that run have version {', '.join(others)}; a run stays with the version it was started with"
    elif alive:
        have = f"{_hosts(alive)} {'runs' if len(alive) == 1 else 'run'}, none with that flow"
    else:
        have = "no host runs at all"
    served = "" if queue is None or queue == "default" else f" --queue {queue}"
    return Cause(
        kind=CauseKind.NO_HOST,
        what=f"{what} ({have})",
        remedy=f"start a host that has it: fairlead worker MODULE:KERNEL{served}",
    )


def _cause(
    kind: CauseKind, tasks: Sequence[TaskRecord], what: str, remedy: str, *, until: datetime | None = None
) -> Cause:
    return Cause(kind=kind, what=what, remedy=remedy, step=tasks[0].key.step, tasks=len(tasks), until=until)


def _of(cause: Cause, tasks: Sequence[TaskRecord]) -> Cause:
    return _cause(cause.kind, tasks, cause.what, cause.remedy, until=cause.until)


def _code_of(run: RunRecord) -> str:
    return f"flow {run.flow!r} in version {run.version}"


def _busy(able: Sequence[Worker], waited: timedelta) -> str:
    slots = sum(each.record.slots for each in able)
    if waited <= SOON:
        return "the host claims it in a moment" if len(able) == 1 else f"one of {len(able)} hosts claims it in a moment"
    return f"one of the {slots:,} slots of {_hosts(able)} becomes free; more of them would take it sooner"


def _hosts(workers: Sequence[Worker]) -> str:
    return "1 host" if len(workers) == 1 else f"{len(workers)} hosts"


def _tasks(tasks: Sequence[TaskRecord]) -> str:
    """Some tasks of a step, in words."""
    step, element = tasks[0].key.step, tasks[0].key.element
    if len(tasks) > 1:
        return f"{len(tasks):,} tasks of {step}"
    return f"{step}[{element}]" if element else step


def _said(error: bytes) -> str:
    failure = decode_failure(error)
    return f": {failure.type}: {failure.message:.200}"


def _for(length: timedelta) -> str:
    return f"for {_length(length)}"


def _length(length: timedelta) -> str:
    """A length of time for people, to the second or better."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"
