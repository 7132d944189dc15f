"""Withdrawing deferred starts, so that their runs never begin.

A start whose time has not come is forgotten, and that is all. One that a host may have in hand is not safe with that:
the host may stand still just before it puts the run down, and go on when its claim is long over. So the run is put
down here, cancelled from its beginning. Whoever is first to put it down decides, in the store.
"""

from __future__ import annotations

from ...ports.scheduler import KeptCommand
from ...ports.statuses import RunStatus
from ..decisions.withdraw import cancelled_run, may_be_in_hand
from ..errors import UnknownFlow
from ..schedules import StartEntry
from ..templates import discard_template
from .means import Means

WITHDRAWN = "withdrawn"
"""The reason of a run whose start was withdrawn while a host may have had it in hand."""


async def withdraw_start(
    means: Means, kept: KeptCommand, entry: StartEntry, reason: str | None, *, again: bool = False
) -> bool | None:
    """Withdraw a deferred start.

    Args:
        means: of the kernel.
        kept: the start as it was read.
        entry: what it says.
        reason: what is kept with a run that is put down as cancelled.
        again: whether this was tried before, and what became of it is unknown.

    Returns:
        Whether this has seen to it that its run never begins; False where the run is there already. None where
        somebody was faster to write the entry, and it has to be read again.

    Raises:
        UnknownFlow: a host may have it in hand, and its flow is not in the store any more.
        AdapterError: a store failed.
    """
    scheduler = means.ports.scheduler
    if may_be_in_hand(kept, entry, means.clock.now()):
        # recovers 62: a host may have a start in hand that is withdrawn
        if not await _cancelled_from_the_beginning(means, entry, reason, again=again):
            return False
        if await scheduler.ack(kept):
            await discard_template(means.ports, entry.template)
        return True
    if not await scheduler.ack(kept):  # recovers 62: somebody else was faster with a deferred command
        return None
    await discard_template(means.ports, entry.template)
    return True


async def _cancelled_from_the_beginning(means: Means, entry: StartEntry, reason: str | None, *, again: bool) -> bool:
    template = entry.template
    flow = await means.persistence.read_flow(template.flow, template.version)
    if flow is None:  # somebody has removed it: whoever defers a start registers its flow before
        raise UnknownFlow(template.flow, template.version, means.registry.known)
    run, update, event = cancelled_run(entry, flow, reason, now=means.clock.now())
    if await means.persistence.insert_cancelled(run, update, event):
        return True
    if not again:  # recovers 62: a start is withdrawn whose run was put down by a host that has died
        return False
    # recovers 22, 62: a start is withdrawn again, since the answer to a commit was lost
    return await never_began(means, entry.run_id)


async def never_began(means: Means, run_id: str) -> bool:
    """Whether a run was cancelled before it began."""
    found = await means.persistence.read_run(run_id)
    return found is not None and found.status is RunStatus.CANCELLED and found.started_at is None
