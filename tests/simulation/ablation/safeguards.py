"""The safeguards, and how each is switched off: by replacing the one narrow function that it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
from attrs import evolve, frozen

from fairlead.adapters.memory import leasing
from fairlead.adapters.memory.locks import Locks
from fairlead.adapters.memory.rows import Batch, Uncommitted, stored_batch
from fairlead.adapters.memory.store import Store
from fairlead.adapters.memory.writing import Writing
from fairlead.hosts import settling
from fairlead.hosts.heartbeats import Heartbeats
from fairlead.hosts.node import loops
from fairlead.hosts.ticks import Ticks
from fairlead.hosts.worker import Worker
from fairlead.kernel import fetching
from fairlead.kernel.commands import Outcome, OutcomeKind, SettleTasks
from fairlead.kernel.decisions import attempts, rerun, start
from fairlead.kernel.decisions.progress import RunProgress
from fairlead.kernel.decisions.settle import reap_tasks
from fairlead.kernel.decisions.waits import Waits
from fairlead.kernel.dispatch import advancing
from fairlead.kernel.dispatch.offering import Answer, Offering
from fairlead.kernel.transitions import TaskTrigger
from fairlead.ports.changes import EventBatch
from fairlead.ports.records import TaskRow
from fairlead.ports.statuses import TaskStatus

Off = Callable[[], AbstractContextManager[object]]


@frozen(kw_only=True)
class Safeguard:
    """Something that keeps a promise, and what is noticed when it is not there."""

    name: str
    off: Off
    """The world without it."""
    convicted_by: tuple[str, ...]
    """The checks that may find out: invariants, promises, or `ending`: a run ends otherwise than without faults."""
    seed: int | None = None
    """A seed whose world convicts it soon; None where only `make ablation` finds one."""


def _replaced(owner: object, name: str, by: object) -> Off:
    """One function is another one."""
    return partial(patch.object, owner, name, by)


def _all(*offs: Off) -> Off:
    """Several functions that are one safeguard together."""

    @contextmanager
    def off() -> Generator[None]:
        with ExitStack() as stack:
            for each in offs:
                stack.enter_context(each())
            yield

    return off


def _nothing(*_: object, **__: object) -> None:
    return None


def _the_same(*_: object, **__: object) -> str:
    return "the same"


async def _none_done(*_: object, **__: object) -> int:
    return 0


# Recording


def _runs_at_all(task: TaskRow, outcome: Outcome) -> bool:
    return task.status is TaskStatus.RUNNING


def _unguarded(writing: Writing, key: Any, status: TaskStatus, token: int) -> Any:
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


def _after(status: TaskStatus, trigger: TaskTrigger) -> TaskStatus:
    return AFTER.get(trigger, TaskStatus.QUEUED)


def _always(*_: object, **__: object) -> bool:
    return True


def _never(*_: object, **__: object) -> bool:
    return False


def _repeated_as_new(**fields: Any) -> SettleTasks:
    fields["repeated"] = False
    return SettleTasks(**fields)


@contextmanager
def _events_apart() -> Generator[None]:
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


def _by_id_alone(store: Store, run: Any, inserts: Any, keys: Any) -> Any:
    """Whether a run is there already, whatever keys are taken."""
    return _existing(store, msgspec.structs.replace(run, key=None), inserts, keys)


_existing = Store._existing  # pyright: ignore[reportPrivateUsage]


# Hosts


@contextmanager
def _remembering_at_once() -> Generator[None]:
    """A host gives to what follows what a handler has returned, before it is recorded."""
    ended = Worker.ended

    def remember(worker: Worker, execution: Any, outcome: Outcome | None, *, running: bool) -> None:
        if outcome is not None and outcome.kind is OutcomeKind.COMPLETED and outcome.output is not None:
            worker.recorded(execution.lease, outcome.output)
        ended(worker, execution, outcome, running=running)

    with patch.object(Worker, "ended", remember):
        yield


@contextmanager
def _taking_at_once() -> Generator[None]:
    """The reaper takes back what it has found, although a heartbeat may have come since."""

    def reap(*given: Any, before: Any, **named: Any) -> Any:
        return reap_tasks(*given, before=before + timedelta(days=1), **named)

    with patch.object(advancing, "reap_tasks", reap):
        yield


@contextmanager
def _claiming_everything() -> Generator[None]:
    """A claim of tasks asks for every flow, whether its host has it or not."""
    claiming = leasing.claim_tasks

    def claim(store: Store, claim: Any) -> Any:
        every = sorted({run.row.flow_id for run in store.runs.values()})
        return claiming(store, msgspec.structs.replace(claim, flow_ids=tuple(every)))

    with patch.object(leasing, "claim_tasks", claim):
        yield


# Events


async def _accepted_whatever_comes(offering: Offering, events: Sequence[Any], timeout_s: float) -> Answer:
    answer = await _offer(offering, events, timeout_s)
    return evolve(answer, accepted=len(events)) if answer.refused else answer


_offer = Offering.offer

NO_TIME = timedelta(0)

SAFEGUARDS: Sequence[Safeguard] = (
    Safeguard(
        name="fencing by token",
        off=_all(_replaced(attempts, "counts", _runs_at_all), _replaced(Writing, "_guarded_task", _unguarded)),
        convicted_by=("I9",),
        seed=730,
    ),
    Safeguard(
        name="guards of statuses",
        off=_all(
            _replaced(attempts, "counts", _always),
            _replaced(attempts, "task_after", _after),
            _replaced(RunProgress, "is_live", _always),
            _replaced(Writing, "_guarded_task", _unguarded),
        ),
        convicted_by=("I1",),
        seed=11,
    ),
    Safeguard(
        name="idempotency keys",
        off=_replaced(Store, "_existing", _by_id_alone),
        convicted_by=("I22", "P7"),
        seed=0,
    ),
    Safeguard(
        name="payloads of equal keys are compared",
        off=_replaced(start, "request_digest", _the_same),
        convicted_by=("P7",),
        seed=4,
    ),
    Safeguard(name="events in the transaction of their change", off=_events_apart, convicted_by=("I18",), seed=0),
    Safeguard(
        name="an event is published when its sink has it",
        off=_replaced(Offering, "offer", _accepted_whatever_comes),
        convicted_by=("I20",),
    ),
    Safeguard(
        name="the cap on attempts",
        off=_replaced(attempts, "may_be_tried_again", _always),
        convicted_by=("I8",),
        seed=8,
    ),
    Safeguard(
        name="heartbeats", off=_replaced(Heartbeats, "beat", _none_done), convicted_by=("I34", "P2", "ending"), seed=4
    ),
    Safeguard(
        name="digests of blobs",
        off=_replaced(fetching, "damage_of", _nothing),
        convicted_by=("I15", "ending"),
    ),
    Safeguard(
        name="what is live ends with its run",
        off=_replaced(Writing, "_cancel", _nothing),
        convicted_by=("I25",),
        seed=0,
    ),
    Safeguard(
        name="what a repeated settle had handed over",
        off=_replaced(settling, "SettleTasks", _repeated_as_new),
        convicted_by=("P2",),
    ),
    Safeguard(
        name="one dangerous task at a time",
        off=_replaced(Worker, "lost_limit", 1_000),
        convicted_by=("P2",),
        seed=8,
    ),
    Safeguard(
        name="outputs are given to others once recorded",
        off=_remembering_at_once,
        convicted_by=("I15",),
    ),
    Safeguard(
        name="recall after an unknown claim",
        off=_replaced(Ticks, "recall", _none_done),
        convicted_by=("P2",),
    ),
    Safeguard(
        name="the sweep of lost messages",
        off=_replaced(Ticks, "sweep", _none_done),
        convicted_by=("I31", "I35"),
        seed=5,
    ),
    Safeguard(
        name="the reaper",
        off=_replaced(Ticks, "reap", _none_done),
        convicted_by=("I31",),
        seed=1,
    ),
    Safeguard(
        name="the end of waits",
        off=_replaced(Ticks, "wake", _none_done),
        convicted_by=("I31",),
        seed=1,
    ),
    Safeguard(
        name="the lock of a run",
        off=_all(
            _replaced(Locks, "lock", _nothing),
            _replaced(Locks, "try_lock", _always),
            _replaced(Locks, "holds", _always),
            _replaced(Locks, "is_locked", _never),
        ),
        convicted_by=("I11", "I12", "I13", "I18", "I19"),
        seed=4,
    ),
    Safeguard(
        name="signals that come early are kept",
        off=_replaced(Waits, "kept_signal", _nothing),
        convicted_by=("I31",),
    ),
    Safeguard(
        name="the margin for clocks that differ",
        off=_all(_replaced(advancing, "CLOCK_SKEW_MAX", NO_TIME), _replaced(loops, "CLOCK_SKEW_MAX", NO_TIME)),
        convicted_by=("P2",),
    ),
    Safeguard(name="the reaper looks again under the lock", off=_taking_at_once, convicted_by=("P2",)),
    Safeguard(name="hosts claim what they have code for", off=_claiming_everything, convicted_by=("P8",)),
    Safeguard(
        name="a cascade of skips holds after a rerun",
        off=_replaced(rerun, "takes_along", _never),
        convicted_by=("ending",),
    ),
)
"""Every safeguard that the campaign proves."""
