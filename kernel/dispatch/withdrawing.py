"""Withdrawing deferred starts, so that their runs never begin.

To forget a start is not enough. A host may stand still just before it puts the run down, and go on when its claim is
long over; and whoever deferred it may not have got the answer, and put the start down again. So the run is put down
here, cancelled from its beginning, and only then is the start forgotten. Whoever is first to put it down decides, in
the store.
"""

from __future__ import annotations

from ...ports.errors import AdapterError
from ...ports.scheduler import KeptCommand
from ...ports.statuses import RunStatus
from ..decisions.withdraw import cancelled_run
from ..errors import UnknownFlow
from ..schedules import StartEntry
from ..templates import discard_template
from .means import Means

WITHDRAWN = "withdrawn"
"""The reason of a run whose start was withdrawn by hand."""


async def withdraw_start(
    means: Means, kept: KeptCommand, entry: StartEntry, reason: str | None, *, again: bool
) -> bool | None:
    """Withdraw a deferred start.

    Args:
        means: of the kernel.
        kept: the start as it was read.
        entry: what it says.
        reason: what is kept with the run that is put down as cancelled.
        again: whether a run that was put down so before counts as withdrawn by this.

    Returns:
        Whether this has seen to it that its run never begins; False where the run is there already. None where this
        has, and somebody was faster to write the entry, which may have to be read again.

    Raises:
        UnknownFlow: its flow is not in the store any more.
        AdapterError: a store failed.
    """
    template = entry.template
    flow = await means.persistence.read_flow(template.flow, template.version)
    if flow is None:  # somebody has removed it: whoever defers a start registers its flow before
        raise UnknownFlow(template.flow, template.version, means.registry.known)
    run, update, event = cancelled_run(entry, flow, reason, now=means.clock.now())
    inserted = await means.persistence.insert_cancelled(run, update, event)
    if not inserted and not await never_began(means, entry.run_id):
        # recovers 62: a start is withdrawn whose run was put down by a host that has died
        return False
    try:
        forgotten = await forget_start(means, kept, entry)
    except AdapterError:  # recovers 21, 22: a start that is withdrawn cannot be forgotten; whoever comes to it can
        forgotten = True
    if not inserted and not again:  # recovers 62: a start is withdrawn that somebody else has withdrawn before
        return False
    return forgotten or None


async def forget_start(means: Means, kept: KeptCommand, entry: StartEntry) -> bool:
    """Forget a start that was carried out or withdrawn; False where somebody else was faster to write its entry."""
    if not await means.ports.scheduler.ack(kept):  # recovers 62: somebody else was faster with a deferred command
        return False
    await discard_template(means.ports, entry.template)
    return True


async def never_began(means: Means, run_id: str) -> bool:
    """Whether a run was cancelled before it began."""
    found = await means.persistence.read_run(run_id)
    return found is not None and found.status is RunStatus.CANCELLED and found.started_at is None
