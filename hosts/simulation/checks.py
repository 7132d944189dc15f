"""What must hold: after every commit on the stored rows, and between one state and the next.

Whatever a store's rows have been changed by was one call of a port, or one commit, since every state is looked at
before anything else can happen. So a change can be told by what it was, and what it was called with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from zlib import crc32

import msgspec
from attrs import frozen

from ...adapters.memory.invariants import broken_invariants
from ...adapters.memory.locks import StepKey
from ...adapters.memory.rows import Batch, Run, Step, StoredRun, Task
from ...adapters.memory.store import Store
from ...kernel import Flow, decode_failure
from ...kernel.transitions import TASK_TRANSITIONS
from ...ports.records import Lease, TaskKey
from ...ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK, RunStatus, TaskStatus
from ..virtual import START
from .ledger import Ledger
from .removing import RemovalChecks
from .timeline import Timeline

Values: TypeAlias = tuple[Any, ...]
"""Every field of a row: some rows are changed in their place."""

TASK_MOVES = frozenset({*((before, after) for (before, _), after in TASK_TRANSITIONS.items())})
"""From which status a task comes to which: each is a commit of its own."""

FIELDS_OF_HEARTBEATS = frozenset({"lease_until", "entry"})


@frozen
class Change:
    """What one commit has made of a task."""

    before: Task | None
    """None where it was not there."""
    now: Task

    @property
    def is_claim(self) -> bool:
        """Whether a host has claimed it."""
        return self.now.token > (0 if self.before is None else self.before.token)

    @property
    def is_loss(self) -> bool:
        """Whether its lease was lost."""
        return self.before is not None and self.now.losses > self.before.losses

    @property
    def is_release(self) -> bool:
        """Whether its host has given it back unspent."""
        before = self.before
        if before is None or before.status is not TaskStatus.RUNNING or self.now.status is not TaskStatus.QUEUED:
            return False
        return self.now.attempts < before.attempts


@frozen
class _Kept:
    """One run's rows as they were."""

    rows: list[object]
    """All of them, in an order that stays the same."""
    run: Values
    steps: Mapping[StepKey, Values]
    tasks: Mapping[TaskKey, Values]

    @classmethod
    def of(cls, run: StoredRun, rows: list[Any]) -> _Kept:
        """The rows of a run as they are."""
        steps, tasks = rows[1 : len(run.steps) + 1], rows[len(run.steps) + 1 :]
        kept_steps, kept_tasks = dict(zip(run.steps, steps, strict=True)), dict(zip(run.tasks, tasks))  # noqa: B905
        return cls(rows, rows[0], kept_steps, kept_tasks)

    @property
    def batches(self) -> list[Batch]:
        """Its events. They are changed in their place: these are as they were last."""
        return [row for row in self.rows if isinstance(row, Batch)]


_values: Callable[[msgspec.Struct], Values] = msgspec.structs.astuple


def _rows(run: StoredRun) -> list[object]:
    """Every row of a run, with all its fields where it may be changed in its place; the others are replaced."""
    return [
        _values(run.row),
        *map(_values, run.steps.values()),
        *map(_values, run.tasks.values()),
        *run.attempts.values(),
        *run.signals.values(),
        *run.endings.values(),
        *run.events.values(),
    ]


class RowChecks:
    """Checks every committed state of a store: by itself, against the one before, and against what really happened."""

    def __init__(
        self, store: Store, ledger: Ledger, flows: Sequence[Flow[Any]], timeline: Timeline, *, clock_error_s: float = 0
    ) -> None:
        self.states = 0
        """How many different states were checked."""
        self.changes: list[Change] = []
        """What has become of tasks with the last of them."""
        self._clock_error = timedelta(seconds=clock_error_s)
        self.removals = RemovalChecks(store, flows, clock_error_s=clock_error_s)
        self._store = store
        self._ledger = ledger
        self._timeline = timeline
        self._attempts_max = {
            (flow.slug, step.slug): step.policy.max_attempts for flow in flows for step in flow.steps.values()
        }
        self._kept: dict[str, _Kept] = {}
        self._deliveries: list[object] = []

    def problems(self, heartbeat: Collection[Lease] | None = None) -> list[str]:
        """What does not hold now.

        Args:
            heartbeat: the leases that were to be extended, where nothing else was done since this was last asked.
        """
        runs = self._store.runs
        changed: dict[str, _Kept] = {}
        for run_id, run in runs.items():
            rows, kept = _rows(run), self._kept.get(run_id)
            if kept is None or rows != kept.rows:
                changed[run_id] = _Kept.of(run, rows)
        problems: list[str] = []
        gone = [kept for run_id, kept in self._kept.items() if run_id not in runs]
        deliveries = list(_deliveries(self._store))
        self.changes = []
        if not changed and not gone and deliveries == self._deliveries:
            return []  # what is made of the same rows is as sound as it was
        self.states += 1
        self._deliveries = deliveries
        broken = broken_invariants(self._store, changed=changed.keys())
        problems += [f"{name}: {line}" for name, lines in broken.items() for line in lines]
        for kept in gone:
            problems += self.removals.problems(Run(*kept.run), kept.batches, self._now())
        self.removals.look()
        for run_id, now in changed.items():
            problems += self._problems_of(runs[run_id], self._kept.get(run_id), now)
        if heartbeat is not None:
            problems += self._stale(set(changed), heartbeat)
        if changed:
            problems += self._dangerous()
        self._kept = {run_id: changed.get(run_id) or self._kept[run_id] for run_id in runs}
        return problems

    def _now(self) -> datetime:
        """The right time."""
        return START + timedelta(seconds=self._timeline.time())

    def _problems_of(self, run: StoredRun, before: _Kept | None, now: _Kept) -> Iterator[str]:
        """What one run's rows must not have become."""
        if run.row.status is RunStatus.CANCELLED:
            self._ledger.cancelled.setdefault((run.row.id, run.row.generation), self._timeline.time())
        if before is not None:
            yield from _undone(run, before, now)
        kept: Mapping[TaskKey, Values] = {} if before is None else before.tasks
        for key, values in now.tasks.items():
            if (old := kept.get(key)) != values:
                change = Change(None if old is None else Task(*old), run.tasks[key])
                self.changes.append(change)
                self._write_down(change)
                yield from _unlawful(change)
                yield from self._unfounded(change)
                yield from self._excessive(run.row, change.now)

    def _write_down(self, change: Change) -> None:
        """Let the ledger know of an attempt that does not count, and the trace of what is recorded."""
        now = change.now
        if change.is_release:
            assert change.before is not None, "nothing is given back that was not there"
            self._ledger.given_back[str(now.key), change.before.attempts] += 1
        if now.status in TERMINAL_TASK:
            # Of an error what it says, and not its traceback: where the code lies differs from one checkout to another.
            said = "" if now.error is None else str(decode_failure(now.error))
            made = crc32((now.output or b"") + said.encode())
            self._timeline.trace(f"{now.key} {now.status} {made}")

    def _unfounded(self, change: Change) -> Iterator[str]:
        """I9: what has just been completed was called for the claim that has settled it, and its handler returned."""
        now = change.now
        ended = change.before is not None and change.before.status in TERMINAL_TASK
        called = now.status is TaskStatus.COMPLETED and not ended and now.attempts > 0
        if called and not self._ledger.returned(str(now.key), now.settled_token):
            yield f"I9: {now.key} is completed, and no handler under its token {now.settled_token} has returned"

    def _excessive(self, run: Run, task: Task) -> Iterator[str]:
        """I8: no task is in more attempts than its step has."""
        most = self._attempts_max.get((run.flow, task.key.step), task.attempts)
        if task.attempts > most:
            yield f"I8: {task.key} is in attempt {task.attempts}, of at most {most}"

    def _stale(self, changed: Collection[str], heartbeat: Collection[Lease]) -> Iterator[str]:
        """I7: a heartbeat extends the leases that it names, where they are still held, and changes nothing else."""
        touched = {change.now.key.run_id for change in self.changes}
        for run_id in changed:
            if run_id not in touched:
                yield f"I7: a heartbeat has changed run {run_id}"
        for change in self.changes:
            before, now = change.before, change.now
            other = set[str]() if before is None else _differing(before, now) - FIELDS_OF_HEARTBEATS
            if before is None or before.status is not TaskStatus.RUNNING or other:
                yield f"I7: a heartbeat has made of {before} {now}"
            elif Lease(now.key, now.token) not in heartbeat:
                named = [lease.token for lease in heartbeat if lease.key == now.key]
                yield f"I7: a heartbeat under {named} has extended the lease of {now.key}, which has token {now.token}"

    def _dangerous(self) -> Iterator[str]:
        """P2: a worker holds one task at most that has lost a lease before.

        It does not hold one whose lease is over by its own clock, or whose handler it has stopped, although the row may
        say so for long.
        """
        now = self._now() + self._clock_error
        held: dict[str | None, list[TaskKey]] = {}
        for run in self._store.runs.values():
            for key in run.live:
                task = run.tasks[key]
                leased = task.lease_until is not None and task.lease_until > now
                if task.losses and leased and not self._ledger.over(str(key), task.token):
                    held.setdefault(task.worker, []).append(key)
        for worker, keys in held.items():
            if len(keys) > 1:
                yield f"P2: {worker} holds {len(keys)} tasks that have lost a lease before: {', '.join(map(str, keys))}"


def _deliveries(store: Store) -> Iterator[object]:
    """What has become of events, in an order that stays the same."""
    for run in store.runs.values():
        for batch in run.events.values():
            yield batch.published, batch.delivered, batch.held
    for sink in store.outbox.sinks.values():
        yield sink.pauses
        for shard in sink.shards:
            if shard.token:
                yield shard.token, shard.worker, len(shard.fresh)
                yield from shard.held.values()
                yield from shard.letters.values()


def _undone(run: StoredRun, before: _Kept, now: _Kept) -> Iterator[str]:
    """I1: what had ended stays as it was, and whatever was there is there. I24: nothing is added after a cancel."""
    row = Run(*before.run)
    ended = row.status in TERMINAL_RUN and row.generation == run.row.generation
    if ended and before.run != now.run:
        yield f"I1: run {row.id} had ended as {row.status} and has changed: {_told(row, run.row)}"
    for place, values in before.steps.items():
        step = Step(*values)
        if step.status in TERMINAL_STEP and now.steps.get(place) != values:
            yield f"I1: step {place} had ended as {step.status} and has changed: {_told(step, run.steps.get(place))}"
    for key in before.tasks.keys() - now.tasks.keys():
        yield f"I1: {key} is gone"
    if ended:
        added = [*(now.steps.keys() - before.steps.keys()), *(now.tasks.keys() - before.tasks.keys())]
        name = "I24" if row.status is RunStatus.CANCELLED else "I1"
        if added or len(now.rows) != len(before.rows):
            yield f"{name}: run {row.id} had ended as {row.status}, and has since got {added or 'other rows'}"


def _unlawful(change: Change) -> Iterator[str]:
    """I1, I2 and I5: of one task's change."""
    before, now = change.before, change.now
    if before is None:
        return
    if before.status in TERMINAL_TASK:
        yield f"I1: {now.key} had ended as {before.status} and has changed: {_told(before, now)}"
    elif now.status is not before.status and (before.status, now.status) not in TASK_MOVES:
        yield f"I2: {now.key} was {before.status} and is {now.status}"
    if now.token < before.token:
        yield f"I5: the token of {now.key} went from {before.token} back to {now.token}"


def _differing(before: msgspec.Struct, now: msgspec.Struct) -> set[str]:
    """The fields that differ."""
    fields = zip(before.__struct_fields__, _values(before), _values(now), strict=True)
    return {name for name, old, new in fields if old != new}


def _told(before: msgspec.Struct, now: msgspec.Struct | None) -> str:
    if now is None:
        return "it is gone"
    differing = sorted(_differing(before, now))
    return ", ".join(f"{name} {getattr(before, name)!r} became {getattr(now, name)!r}" for name in differing)
