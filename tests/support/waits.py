"""Factories and a scene for what waits, as `records` and `scenes` have them for everything else."""

from __future__ import annotations

from datetime import datetime

from fairlead.ports.changes import (
    Changes,
    ConsumedSignal,
    NewSignal,
    NewTasks,
    ResumeToken,
    Resumption,
    RunUpdate,
    Suspension,
)
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, TaskKey, WaitsFor
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus

from .records import START, at, events, new_run, new_tasks, run_claim, run_id, step_write
from .scenes import apply

DEADLINE_S = 600.0
"""When the run of `run_that_waits` should have ended."""


def suspension(
    key: TaskKey,
    token: int = 1,
    *,
    wake_at: datetime,
    give_up_at: datetime | None = None,
    checks: int = 0,
    state: bytes = b'{"job":1}',
) -> Suspension:
    """The holder's own outcome: the task waits to be checked."""
    return Suspension(key=key, token=token, wake_at=wake_at, give_up_at=give_up_at, checks=checks, state=state)


def new_wait(
    flow: FlowRow, run: str, step: str, waits_for: WaitsFor, *, wake_at: datetime | None = None, queue: str = "default"
) -> NewTasks:
    """The one task of a step that waits from the start."""
    return NewTasks(
        run_id=run,
        step=step,
        generation=1,
        first=0,
        count=1,
        flow_id=flow.flow_id,
        queue=queue,
        priority=0,
        created_at=START,
        ready_at=START,
        waits_for=waits_for,
        wake_at=wake_at,
    )


def queued_again(key: TaskKey, token: int, *, ready_at: datetime) -> Resumption:
    """A suspended task is queued for its check."""
    return Resumption(key=key, token=token, status=TaskStatus.QUEUED, ready_at=ready_at)


def ended_well(key: TaskKey, token: int = 0, *, ended_at: datetime = START, output: bytes = b"null") -> Resumption:
    """What a suspended task waited for is there."""
    return Resumption(key=key, token=token, status=TaskStatus.COMPLETED, ended_at=ended_at, output=output)


def ended_badly(
    key: TaskKey, token: int = 0, *, ended_at: datetime = START, reason: str = "timed_out", error: bytes = b"{}"
) -> Resumption:
    """What a suspended task waited for did not come."""
    return Resumption(key=key, token=token, status=TaskStatus.FAILED, ended_at=ended_at, error=error, reason=reason)


def new_signal(
    run: str,
    step: str = "approval",
    key: str = "key-1",
    *,
    digest: str = "digest",
    sent_at: datetime = START,
    consumed_at: datetime | None = None,
    payload: bytes = b'{"approved":true}',
    facts: bytes | None = None,
) -> NewSignal:
    """A signal to put down."""
    return NewSignal(
        run_id=run,
        step=step,
        key=key,
        request_digest=digest,
        sent_at=sent_at,
        payload=payload,
        facts=facts,
        consumed_at=consumed_at,
    )


def consumption(
    run: str, step: str = "approval", key: str = "key-1", *, consumed_at: datetime = START
) -> ConsumedSignal:
    """A kept signal reaches its step."""
    return ConsumedSignal(run_id=run, step=step, key=key, at=consumed_at)


def resume_token(run: str, digest: str = "a" * 64, *, step: str = "approval", expires_s: float = 60) -> ResumeToken:
    """The right to answer a signal step."""
    return ResumeToken(digest=digest, run_id=run, step=step, created_at=START, expires_at=at(expires_s))


def waiting_run_update(
    run: str,
    *,
    next_sequence: int,
    remaining_steps: int = 0,
    status: RunStatus = RunStatus.RUNNING,
    signals: int = 0,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    deadline_at: datetime | None = None,
) -> RunUpdate:
    """The new state of a run that has signals or a deadline."""
    return RunUpdate(
        id=run,
        status=status,
        next_sequence=next_sequence,
        remaining_steps=remaining_steps,
        signals=signals,
        started_at=started_at,
        ended_at=ended_at,
        deadline_at=deadline_at,
    )


async def run_that_waits(store: Persistence, flow: FlowRow, number: int = 1) -> str:
    """Start a run with a deadline that waits in every way, and leave it healthy.

    Steps: `batch` waits to be checked in 60 s and gives up in 300 s, `approval` waits for a signal without end, `nap`
    waits for a time in 90 s. `answer` took a signal that was sent before, `late` waited in vain and was skipped, and
    `review` is still to come; a signal is kept for it.
    """
    run = run_id(number)
    await store.insert_runs([new_run(flow, number)])
    slugs = ("batch", "approval", "nap", "answer", "late")
    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow, only=[run]))
        await transaction.apply(
            Changes(
                runs=(
                    waiting_run_update(
                        run,
                        next_sequence=12,
                        remaining_steps=4,
                        signals=1,
                        started_at=START,
                        deadline_at=at(DEADLINE_S),
                    ),
                ),
                new_steps=(
                    step_write(run, "batch", started_at=START),
                    *(
                        step_write(run, slug, status=StepStatus.SUSPENDED, started_at=START)
                        for slug in ("approval", "nap")
                    ),
                    step_write(
                        run, "answer", status=StepStatus.COMPLETED, remaining=0, started_at=START, ended_at=START
                    ),
                    step_write(
                        run,
                        "late",
                        status=StepStatus.SKIPPED,
                        remaining=0,
                        failed=1,
                        started_at=START,
                        ended_at=START,
                        reason="timed_out",
                    ),
                    step_write(run, "review", status=StepStatus.CREATED, dependencies=1, elements=None, remaining=None),
                ),
                new_tasks=(
                    new_tasks(flow, run, "batch", worker="worker-1", lease_until=at(30)),
                    new_wait(flow, run, "approval", WaitsFor.SIGNAL),
                    new_wait(flow, run, "nap", WaitsFor.TIME, wake_at=at(90)),
                    new_wait(flow, run, "answer", WaitsFor.SIGNAL),
                    new_wait(flow, run, "late", WaitsFor.SIGNAL, wake_at=START),
                ),
                new_signals=(
                    new_signal(run, "answer", consumed_at=START),
                    new_signal(run, "review", sent_at=at(1)),
                ),
                resumptions=(
                    ended_badly(TaskKey(run, "late", 1, 0)),
                    ended_well(TaskKey(run, "answer", 1, 0), output=b'{"approved":true}'),
                ),
                events=(
                    events(
                        run,
                        2,
                        [
                            "run.started",
                            *(("step.started", {"step": slug}) for slug in slugs),
                            *(("step.suspended", {"step": slug}) for slug in ("approval", "nap")),
                            ("step.completed", {"step": "answer"}),
                            ("step.skipped", {"step": "late"}),
                        ],
                        flow=flow.slug,
                    ),
                ),
            )
        )
    await apply(
        store,
        run,
        Changes(
            runs=(waiting_run_update(run, next_sequence=13, remaining_steps=4, signals=1),),
            steps=(step_write(run, "batch", status=StepStatus.SUSPENDED),),
            suspensions=(suspension(TaskKey(run, "batch", 1, 0), wake_at=at(60), give_up_at=at(300)),),
            events=(events(run, 12, [("step.suspended", {"step": "batch"})], flow=flow.slug),),
        ),
    )
    return run
