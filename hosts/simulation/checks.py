"""What must hold: after every commit on the stored rows, and between one state and the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...adapters.memory.invariants import broken_invariants
from ...adapters.memory.store import Store
from ...kernel import Flow
from ...ports.records import TaskKey
from ...ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK, TaskStatus
from .ledger import Ledger


class _Seen(NamedTuple):
    """What must not change any more once `terminal`, and the token, which never falls."""

    terminal: bool
    status: str
    token: int
    output: bytes | None
    error: bytes | None


class RowChecks:
    """Checks every committed state of a store: by itself, against the one before, and against what really happened."""

    def __init__(self, store: Store, ledger: Ledger, flows: Sequence[Flow[Any]]) -> None:
        self.states = 0
        """How many different states were checked."""
        self._store = store
        self._ledger = ledger
        self._attempts_max = {
            (flow.slug, step.slug): step.policy.max_attempts for flow in flows for step in flow.steps.values()
        }
        self._rows: list[object] = []
        self._seen: dict[object, _Seen] = {}

    def problems(self) -> list[str]:
        """What does not hold now."""
        rows = list(_rows(self._store))
        if rows == self._rows:  # what is made of the same rows is as sound as it was
            return []
        self._rows = rows
        self.states += 1
        broken = broken_invariants(self._store)
        problems = [f"{name}: {line}" for name, lines in broken.items() for line in lines]
        seen = dict(_seen(self._store))
        for key, before in self._seen.items():
            problems += _changed(key, before, seen.get(key))
        problems += self._unfounded(seen)
        problems += [*self._excessive(), *self._dangerous()]
        self._seen = seen
        return problems

    def _unfounded(self, seen: dict[object, _Seen]) -> Iterator[str]:
        """I9: what has just been completed was called in that very attempt, and its handler has returned."""
        for key, now in seen.items():
            before = self._seen.get(key)
            if isinstance(key, TaskKey) and now.status is TaskStatus.COMPLETED and (not before or not before.terminal):
                attempts = self._store.runs[key.run_id].tasks[key].attempts
                if attempts and not self._ledger.returned(str(key), attempts):
                    yield f"I9: {key} is completed, and no handler of its attempt {attempts} has returned"

    def _excessive(self) -> Iterator[str]:
        """I8: no task is in more attempts than its step has."""
        for run in self._store.runs.values():
            for key, task in run.tasks.items():
                most = self._attempts_max.get((run.row.flow, key.step), task.attempts)
                if task.attempts > most:
                    yield f"I8: {key} is in attempt {task.attempts}, of at most {most}"

    def _dangerous(self) -> Iterator[str]:
        """P2: a worker holds one task at most that has lost a lease before."""
        held: dict[str | None, list[TaskKey]] = {}
        for run in self._store.runs.values():
            for key in run.live:
                task = run.tasks[key]
                if task.status is TaskStatus.RUNNING and task.losses:
                    held.setdefault(task.worker, []).append(key)
        for worker, keys in held.items():
            if len(keys) > 1:
                yield f"P2: {worker} holds {len(keys)} tasks that have lost a lease before: {', '.join(map(str, keys))}"


def _rows(store: Store) -> Iterator[object]:
    """Every row, in an order that stays the same, with what is changed in its place; the others are replaced."""
    for run in store.runs.values():
        yield run.row
        yield from run.steps.values()
        yield from ((task, task.status, task.token) for task in run.tasks.values())
        yield from run.attempts.values()
        yield from run.signals.values()
        yield from run.endings.values()
        yield from ((batch, batch.published, batch.delivered, batch.held) for batch in run.batches())
    for sink in store.outbox.sinks.values():
        yield sink.pauses
        for shard in sink.shards:
            if shard.token:
                yield shard.token, shard.worker, len(shard.fresh)
                yield from shard.held.values()
                yield from shard.letters.values()


def _changed(key: object, before: _Seen, now: _Seen | None) -> list[str]:
    if now is None:
        return [f"I1: {key} is gone"]
    if before.terminal and now != before:
        return [f"I1: {key} had ended as {before.status} and has changed: {before} became {now}"]
    if now.token < before.token:
        return [f"I5: the token of {key} went from {before.token} back to {now.token}"]
    return []


def _seen(store: Store) -> Iterator[tuple[object, _Seen]]:
    for run_id, run in store.runs.items():
        row = run.row
        yield ("run", run_id, row.generation), _Seen(row.status in TERMINAL_RUN, row.status, 0, None, row.error)
        for number, end in run.endings.items():
            yield ("run", run_id, number), _Seen(end.status in TERMINAL_RUN, end.status, 0, None, end.error)
        for place, step in run.steps.items():
            yield place, _Seen(step.status in TERMINAL_STEP, step.status, 0, None, step.error)
        for key, task in run.tasks.items():
            yield key, _Seen(task.status in TERMINAL_TASK, task.status, task.token, task.output, task.error)
