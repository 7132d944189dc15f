"""Looking at a run again and again until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from ...kernel import Kernel, RunNotFound, RunStatus, WaitTimeout
from ...kernel.events import event_records
from ...kernel.step_order import StepOrder, as_they_stand, read_step_order
from ...ports.outbox import EventRecord
from ...ports.reading import RunRecord, StepRecord
from ...ports.statuses import TERMINAL_RUN
from .idleness import Idleness

if TYPE_CHECKING:
    from .displays import Display

LOOK_EVERY_S = 0.2
"""The pause between two looks at a run: two small statements each, and one for what has happened since."""


@frozen(kw_only=True)
class Look:
    """A run at one moment."""

    run: RunRecord
    steps: Sequence[StepRecord]
    """Those that exist, each in its highest generation; none before a worker has claimed the run."""
    events: Sequence[EventRecord] = ()
    """What has happened since the look before, or since the run was created or began anew."""
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
    idleness = Idleness(kernel.ports)
    order: StepOrder | None = None
    told = 0
    while True:
        run = await persistence.read_run(run_id)
        if run is None:
            raise RunNotFound(run_id)
        order = order or await read_step_order(persistence, run)
        steps = order.sort(as_they_stand(await persistence.read_steps(run_id)))
        events: list[EventRecord] = []
        if run.next_sequence > told + 1:
            rows = await persistence.read_events(run_id, after=told)
            events = [event for row in rows for event in event_records(row) if event.sequence > told]
            told = events[-1].sequence if events else told
            events = [event for event in events if event.generation >= run.generation]
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
