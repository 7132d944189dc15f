"""Looking at a run again and again until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from ...kernel import Kernel, RunNotFound, RunStatus, StepStatus, TaskStatus, WaitTimeout
from ...kernel.events import event_records
from ...kernel.step_order import StepOrder, read_step_order
from ...ports.outbox import EventRecord
from ...ports.reading import RunRecord, StepRecord, TaskRecord
from ...ports.statuses import TERMINAL_RUN
from .output import shown_seconds

if TYPE_CHECKING:
    from .displays import Display

LOOK_EVERY_S = 0.2
"""The pause between two looks at a run: two small statements each, and one for what has happened since."""

IDLE_AFTER_S = 10.0
"""After so long without any change it is worth asking whether anybody works on the run."""

ASK_EVERY_S = 5.0
"""The pause between two such questions, each of which reads the tasks of the steps that are running."""


@frozen(kw_only=True)
class Look:
    """A run at one moment."""

    run: RunRecord
    steps: Sequence[StepRecord]
    """Those that exist, in order of definition; none before a worker has claimed the run."""
    events: Sequence[EventRecord] = ()
    """What has happened since the look before, or since the run was created."""
    at: datetime
    idle: str | None = None
    """Why nothing happens, where nothing has for a while and nobody works on the run."""

    @property
    def ended(self) -> bool:
        """Whether it is the last."""
        return self.run.status in TERMINAL_RUN


async def watch(kernel: Kernel, run_id: str) -> AsyncGenerator[Look]:
    """Yield how a run stands, every now and then until it has ended. No flow needs to be known.

    Raises:
        RunNotFound: there is no such run (any more).
    """
    persistence, clock = kernel.ports.persistence, kernel.ports.clock
    idleness = _Idleness(kernel, run_id)
    order: StepOrder | None = None
    told = 0
    while True:
        run = await persistence.read_run(run_id)
        if run is None:
            raise RunNotFound(run_id)
        order = order or await read_step_order(persistence, run)
        steps = order.sort(await persistence.read_steps(run_id))
        events: list[EventRecord] = []
        if run.next_sequence > told + 1:
            rows = await persistence.read_events(run_id, after=told)
            events = [event for row in rows for event in event_records(row) if event.sequence > told]
            told = events[-1].sequence if events else told
        idle = None if run.status in TERMINAL_RUN else await idleness.reason(run, steps)
        look = Look(run=run, steps=steps, events=events, at=clock.now(), idle=idle)
        yield look
        if look.ended:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def watch_shown(kernel: Kernel, run_id: str, display: Display, *, timeout: float | None = None) -> RunRecord:
    """Show a run until it has ended; returns how it ended.

    Raises:
        RunNotFound: there is no such run.
        WaitTimeout: it has not ended after `timeout` seconds.
    """
    last: Look | None = None
    try:
        async with asyncio.timeout(timeout):
            with display:
                async for last in watch(kernel, run_id):
                    display.show(last)
    except TimeoutError:
        status = RunStatus.PENDING if last is None else last.run.status
        raise WaitTimeout(run_id=run_id, waited_s=timeout or 0.0, status=status) from None
    assert last is not None, "watching yields at least one look"
    return last.run


class _Idleness:
    """Notices that nothing changes, and finds out why."""

    def __init__(self, kernel: Kernel, run_id: str) -> None:
        self._persistence = kernel.ports.persistence
        self._clock = kernel.ports.clock
        self._run_id = run_id
        self._state: object = None
        self._since_s = 0.0
        self._asked_s = 0.0
        self._reason: str | None = None

    async def reason(self, run: RunRecord, steps: Sequence[StepRecord]) -> str | None:
        """Why nothing happens; None while something does, or somebody works."""
        now_s = self._clock.monotonic()
        state = (run.status, run.next_sequence, [(step.slug, step.status, step.remaining_tasks) for step in steps])
        if state != self._state:
            self._state, self._since_s, self._reason = state, now_s, None
        elif now_s - self._since_s >= IDLE_AFTER_S and now_s - self._asked_s >= ASK_EVERY_S:
            self._asked_s = now_s
            waited = shown_seconds(round(now_s - self._since_s))
            self._reason = await self._ask(run, steps, waited)
        return self._reason

    async def _ask(self, run: RunRecord, steps: Sequence[StepRecord], waited: str) -> str | None:
        if run.status is RunStatus.PENDING:
            return (
                f"no worker has claimed it for {waited}; "
                f"is one running that has flow {run.flow!r} in version {run.version}?"
            )
        running = [step.slug for step in steps if step.status is StepStatus.RUNNING]
        read = [await self._persistence.read_tasks(self._run_id, step=slug) for slug in running]
        return idle_reason([task for tasks in read for task in tasks], self._clock.now(), waited)


def idle_reason(tasks: Sequence[TaskRecord], now: datetime, waited: str) -> str | None:
    """Why no task of a run makes progress; None where a worker is busy with one.

    Args:
        tasks: of the steps that are running.
        now: by the clock that leases go by.
        waited: for how long nothing has happened.
    """
    held = [task for task in tasks if task.status is TaskStatus.RUNNING]
    if any(task.lease_until is not None and task.lease_until > now for task in held):
        return None
    queued = [task for task in tasks if task.status is TaskStatus.QUEUED]
    ready = [task for task in queued if task.ready_at <= now]
    if ready:
        queues = ", ".join(repr(queue) for queue in sorted({task.queue for task in ready}))
        count = f"{len(ready):,} task{' waits' if len(ready) == 1 else 's wait'}"
        return f"{count} in queue {queues}, and no worker has taken any for {waited}; is one running that serves it?"
    if held:
        return f"worker {held[0].worker} has gone silent; what it had in its hands waits for another worker"
    if queued:
        first = min(task.ready_at for task in queued)
        return f"the next attempt is due in {shown_seconds((first - now).total_seconds())}"
    return None
