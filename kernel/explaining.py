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
from .amounts import coming, counted, lasting, moment, times
from .commands import CLOCK_SKEW_MAX
from .failures import decode_failure
from .host_words import code_of, heard_of, hosts_there_are, last_heard
from .proposals import KERNEL, proposed
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
    DEADLINE = "deadline"
    """It goes on, and its `run_timeout` ends it where it is not over by then."""
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
    """When it is over by itself, or looked at again, if that is known."""


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

TELLING_OF_HOSTS = (CauseKind.NO_HOST, CauseKind.LEASE, CauseKind.WORKING, CauseKind.DEFECT)
"""Kinds of causes that say what a host has to do with it, or that none could help."""


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
    at = "" if run.ended_at is None else f", and ended at {moment(run.ended_at)}"
    error = "" if run.error is None else _said(run.error)
    why = f" ({run.reason})" if run.reason else ""
    retry = proposed("runs", "retry", run.id, "--kernel", KERNEL)
    if run.status is RunStatus.COMPLETED:
        remedy = f"nothing is left to be done; its outputs: {proposed('runs', 'show', run.id, '--payloads')}"
    elif run.reason == BLOB_CORRUPT:
        rerun = proposed("runs", "rerun", run.id, "--from", "STEP", "--kernel", KERNEL)
        remedy = (
            f"bring the blob back, then {retry}; or make it anew, where STEP is the step whose output it is: {rerun}; "
            "where it is the run's input, start a new run"
        )
    else:
        remedy = f"nothing happens any more, unless somebody lets it begin again where it stopped: {retry}"
    return Cause(kind=CauseKind.ENDED, what=f"the run is {run.status}{why}{at}{error}", remedy=remedy)


def _pending(run: RunRecord, workers: Sequence[Worker], now: datetime) -> Cause:
    able = able_workers(workers, run.flow, run.version)
    waited = now - run.created_at
    if not able:
        return _no_host(f"no host that runs has {code_of(run)}", run, workers, now)
    what = f"nobody has claimed the run yet, for {lasting(waited)}"
    return Cause(kind=CauseKind.SLOT, what=what, remedy=_busy(able, waited, now))


def _running(details: RunDetails, workers: Sequence[Worker], now: datetime) -> Iterator[Cause]:
    run = details.run
    live: dict[str, list[TaskRecord]] = {}
    for task in details.tasks:
        if task.status not in TERMINAL_TASK:
            live.setdefault(task.key.step, []).append(task)
    causes = [cause for tasks in live.values() for cause in _of_step(details, tasks, workers, now)]
    if not live:
        report = f"{proposed('doctor')} says which rule is broken; please report it"
        causes.append(Cause(kind=CauseKind.DEFECT, what="the run is running, and no task of it is live", remedy=report))
    causes += _deadline(run, workers, now)
    yield from causes
    told = any(cause.kind in TELLING_OF_HOSTS for cause in causes)
    if not told and not able_workers(workers, run.flow, run.version):
        yield _no_host(
            f"whatever its time, nothing of it happens while no host runs that has {code_of(run)}", run, workers, now
        )


def _deadline(run: RunRecord, workers: Sequence[Worker], now: datetime) -> Iterator[Cause]:
    """The end that a run's `run_timeout` puts to it, to come or overdue; any host does it, whatever code it has."""
    if run.deadline_at is None:
        return
    if run.deadline_at > now:
        what = f"its run_timeout ends {coming(run.deadline_at, now)}: it fails as timed_out if it is not over by then"
        remedy = "what it waits for comes before, or it has to be started anew"
        yield Cause(kind=CauseKind.DEADLINE, what=what, remedy=remedy, until=run.deadline_at)
        return
    what = f"its deadline has passed, for {lasting(now - run.deadline_at)}"
    alive = running_workers(workers)
    if alive:
        remedy = f"a host ends it as timed_out within seconds ({last_heard(alive, now)})"
        yield Cause(kind=CauseKind.DEADLINE, what=what, remedy=remedy)
    else:
        remedy = f"any host ends it as timed_out; none runs: {proposed('worker', KERNEL)}"
        yield Cause(kind=CauseKind.NO_HOST, what=what, remedy=remedy)


def _of_step(
    details: RunDetails, tasks: Sequence[TaskRecord], workers: Sequence[Worker], now: datetime
) -> Iterator[Cause]:
    """The causes of one step's live tasks, those of one kind together."""
    run = details.run
    by_status: dict[TaskStatus, list[TaskRecord]] = {}
    for task in tasks:
        by_status.setdefault(task.status, []).append(task)
    yield from _leased(run, by_status.get(TaskStatus.RUNNING, ()), workers, now)
    queued = by_status.get(TaskStatus.QUEUED, ())
    ready = [task for task in queued if task.ready_at <= now]
    if ready:
        yield _ready(run, ready, workers, now)
    early = [task for task in queued if task.ready_at > now]
    if early:
        yield _early(run, early, details.attempts, workers, now)
    for task in by_status.get(TaskStatus.SUSPENDED, ()):
        yield _suspended(run, task, workers, now)


def _leased(run: RunRecord, tasks: Iterable[TaskRecord], workers: Sequence[Worker], now: datetime) -> Iterator[Cause]:
    by_worker: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        by_worker.setdefault(task.worker or "?", []).append(task)
    for worker, held in by_worker.items():
        known = next((each for each in workers if each.holds(worker)), None)
        first = min(held, key=lambda task: task.lease_until or now)
        ended = first.lease_until is None or first.lease_until <= now
        if ended or (known is not None and known.state is not WorkerState.RUNNING):
            yield _left_behind(run, held, first, known, workers, now)
        else:
            yield _worked_on(held, first, known, now)


def _left_behind(
    run: RunRecord,
    held: Sequence[TaskRecord],
    first: TaskRecord,
    known: Worker | None,
    workers: Sequence[Worker],
    now: datetime,
) -> Cause:
    """Tasks whose host is gone."""
    until = first.lease_until or now
    if until <= now:
        state = f"whose lease ended {lasting(now - until)} ago"
    else:
        state = f"which is {known.state if known else 'gone'}; its lease ends {coming(until, now)}"
    what = f"{_tasks(held)} with {first.worker}, attempt {first.attempts}, {state}"
    able = able_workers(workers, run.flow, run.version)
    if able:
        remedy = f"a host takes it back within seconds of that ({last_heard(able, now)})"
    else:
        remedy = f"a host that has {code_of(run)} has to run, and none does: {proposed('worker', KERNEL)}"
    return _cause(CauseKind.LEASE, held, what, remedy, until=until + CLOCK_SKEW_MAX)


def _worked_on(held: Sequence[TaskRecord], first: TaskRecord, known: Worker | None, now: datetime) -> Cause:
    """Tasks whose lease lasts, with a host that is not known to be gone."""
    since = "" if first.started_at is None else f", for {lasting(now - first.started_at)}"
    phase = "checked" if first.phase is TaskPhase.CHECK else "worked on"
    seen = "it has announced nothing" if known is None else heard_of(known, now)
    what = f"{_tasks(held)} with {first.worker} ({seen}), attempt {first.attempts}: {phase}{since}"
    lease = (
        "" if first.lease_until is None else f"; if that host is gone, its lease ends {coming(first.lease_until, now)}"
    )
    remedy = f"its handler ends, or is stopped by its timeout{lease}"
    return _cause(CauseKind.WORKING, held, what, remedy)


def _ready(run: RunRecord, tasks: Sequence[TaskRecord], workers: Sequence[Worker], now: datetime) -> Cause:
    queue = tasks[0].queue
    waited = now - min(task.ready_at for task in tasks)
    able = able_workers(workers, run.flow, run.version)
    serving = serving_workers(able, queue)
    what = f"{_tasks(tasks)} ready in queue {queue!r}, for {lasting(waited)}"
    if not able:
        return _of(_no_host(f"{what}; no host that runs has {code_of(run)}", run, workers, now, queue=queue), tasks)
    if not serving:
        remedy = f"start one that does: {_worker_for(queue)}"
        return _cause(CauseKind.NO_HOST, tasks, f"{what}; no host that runs serves that queue", remedy)
    return _cause(CauseKind.SLOT, tasks, what, _busy(serving, waited, now))


def _early(
    run: RunRecord,
    tasks: Sequence[TaskRecord],
    attempts: Sequence[AttemptRecord],
    workers: Sequence[Worker],
    now: datetime,
) -> Cause:
    first = min(tasks, key=lambda task: task.ready_at)
    until = first.ready_at
    able = able_workers(workers, run.flow, run.version)
    remedy = _time_passes(able, now)
    if able and not serving_workers(able, first.queue):
        remedy = f"no host that runs serves queue {first.queue!r}; start one by then: {_worker_for(first.queue)}"
    last = next((each for each in reversed(attempts) if each.key == first.key), None)
    if last is None:
        what = f"{_tasks(tasks)} held back by a start delay that ends {coming(until, now)}"
        return _cause(CauseKind.DELAY, tasks, what, remedy, until=until)
    error = "" if last.error is None else _said(last.error)
    what = f"{_tasks(tasks)} tried again {coming(until, now)}; attempt {last.attempt} ended {last.reason}{error}"
    if last.reason == BLOB_CORRUPT:
        remedy += "; hosts must all use the blob store that the payload was written to (--blobs)"
    return _cause(CauseKind.RETRY, tasks, what, remedy, until=until)


def _suspended(run: RunRecord, task: TaskRecord, workers: Sequence[Worker], now: datetime) -> Cause:
    step, wake_at = task.key.step, task.wake_at
    able = able_workers(workers, run.flow, run.version)
    if wake_at is not None and wake_at + SOON < now:
        what = f"{step} should have been woken {lasting(now - wake_at)} ago"
        if able:
            remedy = (
                f"{last_heard(able, now)}; where that is no longer true, start one: {proposed('worker', KERNEL)}; "
                f"otherwise {proposed('doctor')} says whether a rule is broken"
            )
            return _cause(CauseKind.DEFECT, [task], what, remedy)
        return _of(_no_host(f"{what}; no host that runs has {code_of(run)}", run, workers, now), [task])
    if task.waits_for is WaitsFor.SIGNAL:
        return _awaiting_signal(run, task, now)
    if task.waits_for is WaitsFor.TIME:
        when = "" if wake_at is None else f" {coming(wake_at, now)}"
        what = f"{step} sleeps, and wakes{when}"
        return _cause(CauseKind.SLEEP, [task], what, _time_passes(able, now), until=wake_at)
    return _awaiting_check(task, able, now)


def _awaiting_signal(run: RunRecord, task: TaskRecord, now: datetime) -> Cause:
    step, wake_at = task.key.step, task.wake_at
    end = ", for as long as it takes"
    if wake_at is not None:
        end = f"; its time ends {coming(wake_at, now)}: then it fails as timed_out, or is skipped by its on_timeout"
    answer = proposed("signal", run.id, step, "PAYLOAD", "--kernel", KERNEL)
    remedy = f"somebody answers, with JSON: {answer}; or with a resume token"
    return _cause(CauseKind.SIGNAL, [task], f"{step} waits for a signal{end}", remedy, until=wake_at)


def _awaiting_check(task: TaskRecord, able: Sequence[Worker], now: datetime) -> Cause:
    step, wake_at, give_up_at = task.key.step, task.wake_at, task.give_up_at
    checked = f"not ready when checked {times(task.checks)}" if task.checks else "not checked yet"
    what = f"{step} waits for outside work, {checked}"
    if wake_at is not None and wake_at != give_up_at:
        what += f"; its next check is {coming(wake_at, now)}"
    if give_up_at is not None:
        what += f"; it gives up {coming(give_up_at, now)}: it fails as timed_out, or is skipped by its on_exhausted"
    remedy = f"a check finds it ready; {_time_passes(able, now)}"
    return _cause(CauseKind.CHECK, [task], what, remedy, until=wake_at)


def _no_host(what: str, run: RunRecord, workers: Sequence[Worker], now: datetime, *, queue: str | None = None) -> Cause:
    return Cause(
        kind=CauseKind.NO_HOST,
        what=f"{what} ({hosts_there_are(run, workers, now)})",
        remedy=f"start a host that has it: {_worker_for(queue)}",
    )


def _cause(
    kind: CauseKind, tasks: Sequence[TaskRecord], what: str, remedy: str, *, until: datetime | None = None
) -> Cause:
    return Cause(kind=kind, what=what, remedy=remedy, step=tasks[0].key.step, tasks=len(tasks), until=until)


def _of(cause: Cause, tasks: Sequence[TaskRecord]) -> Cause:
    return _cause(cause.kind, tasks, cause.what, cause.remedy, until=cause.until)


def _worker_for(queue: str | None) -> str:
    """The command that starts a host; one without `--queue` serves all queues of its flows."""
    named = () if queue is None or queue == "default" else ("--queue", queue)
    return proposed("worker", KERNEL, *named)


def _time_passes(able: Sequence[Worker], now: datetime) -> str:
    """What it takes for a time to have its effect."""
    if not able:
        return "a host has to run by then, and none that has the flow does"
    return f"the time passes, and a host is there by then ({last_heard(able, now)})"


def _busy(able: Sequence[Worker], waited: timedelta, now: datetime) -> str:
    heard = last_heard(able, now)
    if waited <= SOON:
        return f"{'the host' if len(able) == 1 else f'one of {len(able):,} hosts'} claims it in a moment ({heard})"
    slots = sum(each.record.slots for each in able)
    return f"one of {counted(slots, 'slot')} becomes free; more of them would take it sooner ({heard})"


def _tasks(tasks: Sequence[TaskRecord]) -> str:
    """Some tasks of a step, in words."""
    step, element = tasks[0].key.step, tasks[0].key.element
    if len(tasks) > 1:
        return f"{len(tasks):,} tasks of {step}"
    return f"{step}[{element}]" if element else step


def _said(error: bytes) -> str:
    failure = decode_failure(error)
    return f": {failure.type}: {failure.message:.200}"
