"""How safeguards are switched off: each by replacing the one narrow function that it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from copy import copy
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
from attrs import evolve

from fairlead.adapters.memory import leasing
from fairlead.adapters.memory.rows import Batch, Uncommitted, stored_batch
from fairlead.adapters.memory.store import Store
from fairlead.adapters.memory.writing import Writing
from fairlead.hosts.worker import Worker
from fairlead.kernel.commands import Outcome, OutcomeKind, SettleTasks
from fairlead.kernel.decisions.settle import reap_tasks
from fairlead.kernel.dispatch import advancing
from fairlead.kernel.dispatch.offering import Answer, Offering
from fairlead.kernel.references import output_prefix
from fairlead.kernel.transitions import TaskTrigger
from fairlead.ports.changes import EventBatch
from fairlead.ports.records import TaskKey, TaskRow
from fairlead.ports.statuses import TaskStatus

Off = Callable[[], AbstractContextManager[object]]


def replaced(owner: object, name: str, by: object) -> Off:
    """One function is another one."""
    return partial(patch.object, owner, name, by)


def together(*offs: Off) -> Off:
    """Several functions that are one safeguard together."""

    @contextmanager
    def off() -> Generator[None]:
        with ExitStack() as stack:
            for each in offs:
                stack.enter_context(each())
            yield

    return off


def nothing(*_: object, **__: object) -> None:
    return None


def the_same(*_: object, **__: object) -> str:
    return "the same"


async def none_done(*_: object, **__: object) -> int:
    return 0


# Recording


def runs_at_all(task: TaskRow, outcome: Outcome) -> bool:
    return task.status is TaskStatus.RUNNING


def unguarded(writing: Writing, key: Any, status: TaskStatus, token: int) -> Any:
    """The row of a task, whoever has it and whatever it is at."""
    existing = writing.task(key)
    assert existing is not None
    row = writing.rows.tasks[key] = copy(existing)
    return row


AFTER = {
    TaskTrigger.COMPLETE: TaskStatus.COMPLETED,
    TaskTrigger.FAIL: TaskStatus.FAILED,
    TaskTrigger.SUSPEND: TaskStatus.SUSPENDED,
}


def after(status: TaskStatus, trigger: TaskTrigger) -> TaskStatus:
    return AFTER.get(trigger, TaskStatus.QUEUED)


def always(*_: object, **__: object) -> bool:
    return True


def never(*_: object, **__: object) -> bool:
    return False


def repeated_as_new(**fields: Any) -> SettleTasks:
    fields["repeated"] = False
    return SettleTasks(**fields)


@contextmanager
def events_apart() -> Generator[None]:
    """Events are written by a transaction of their own, right after that of their change."""
    committing, putting = Store.commit, Store._put_batch  # pyright: ignore[reportPrivateUsage]
    apart: list[tuple[Uncommitted, Batch]] = []

    def insert(writing: Writing, batch: EventBatch) -> None:
        apart.append((writing.rows, stored_batch(batch)))

    async def write(store: Store, batches: Sequence[Batch]) -> None:
        await asyncio.sleep(0.01)
        for batch in batches:
            putting(store, store.runs[batch.run_id], batch)

    def commit(store: Store, written: Uncommitted) -> None:
        committing(store, written)
        mine = [batch for rows, batch in apart if rows is written]
        apart[:] = [each for each in apart if each[0] is not written]
        if mine:
            writing = asyncio.get_running_loop().create_task(write(store, mine))
            writing.add_done_callback(lambda _: None)

    with patch.object(Writing, "_insert_events", insert), patch.object(Store, "commit", commit):
        yield


# Starting


def by_id_alone(store: Store, run: Any, inserts: Any, keys: Any) -> Any:
    """Whether a run is there already, whatever keys are taken."""
    return _existing(store, msgspec.structs.replace(run, key=None), inserts, keys)


_existing = Store._existing  # pyright: ignore[reportPrivateUsage]


# Hosts


def asking_nothing(worker: Worker) -> AbstractContextManager[None]:
    """Nothing is remembered of what is settled while an answer is under way."""
    return nullcontext()


@contextmanager
def remembering_at_once() -> Generator[None]:
    """A host gives to what follows what a handler has returned, before it is recorded."""
    ended = Worker.ended

    def remember(worker: Worker, execution: Any, outcome: Outcome | None, *, running: bool) -> None:
        if outcome is not None and outcome.kind is OutcomeKind.COMPLETED and outcome.output is not None:
            worker.recorded(execution.lease, outcome.output)
        ended(worker, execution, outcome, running=running)

    with patch.object(Worker, "ended", remember):
        yield


@contextmanager
def taking_at_once() -> Generator[None]:
    """The reaper takes back what it has found, although a heartbeat may have come since."""

    def reap(*given: Any, before: Any, **named: Any) -> Any:
        return reap_tasks(*given, before=before + timedelta(days=1), **named)

    with patch.object(advancing, "reap_tasks", reap):
        yield


@contextmanager
def claiming_everything() -> Generator[None]:
    """A host asks for the tasks of every flow, whether it has it or not."""
    claiming, finding = leasing.claim_tasks, leasing.find_due

    def every(store: Store) -> tuple[int, ...]:
        return tuple(sorted({run.row.flow_id for run in store.runs.values()}))

    def claim(store: Store, claim: Any) -> Any:
        return claiming(store, msgspec.structs.replace(claim, flow_ids=every(store)))

    def find(store: Store, **asked: Any) -> Any:
        asked["flow_ids"] = every(store)
        return finding(store, **asked)

    with patch.object(leasing, "claim_tasks", claim), patch.object(leasing, "find_due", find):
        yield


# Events


async def accepted_whatever_comes(offering: Offering, events: Sequence[Any], timeout_s: float) -> Answer:
    answer = await _offer(offering, events, timeout_s)
    return evolve(answer, accepted=len(events)) if answer.refused else answer


_offer = Offering.offer


# Blobs


def the_same_for_all_attempts(key: TaskKey, token: int) -> str:
    """Where every attempt at a task writes its blobs."""
    return output_prefix(key, 0)
