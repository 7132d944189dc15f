"""JobTransport: how hosts hear that there is work.

A job is a reference to a row in Persistence, and the row is the truth. Losing, duplicating, delaying or reordering
a job must never matter: whoever receives one claims the row it names, and a claim that gets nothing means that
somebody else was first or that the time has not come. A sweep enqueues again what nobody claimed.

Two kinds of transport exist. One *delivers* (`delivers` is True): jobs arrive as messages that are claimed by id,
acknowledged, and delivered again if they are not; a host takes them with `dequeue`. The other only *hints*: a host
`listen`s where something may wait, and claims there.

One that reaches every process can also tell of ends: whoever waits for a run `watch`es it and need not look at it again
and again. That, too, is only a hint.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from .record import Record
from .records import TaskKey


class Job(Record, frozen=True, kw_only=True):
    """“Look at this.” A pending run (`task` is None) or a queued task."""

    run_id: str
    queue: str
    task: TaskKey | None = None
    not_before: datetime | None = None
    """The time before which looking is in vain; a transport may deliver late, never needs to deliver early."""
    flow_id: int | None = None
    """Of the run: a host that does not serve it leaves the job to others. None where whoever made it did not know."""


class Delivery(Record, frozen=True, kw_only=True):
    """A job as it arrived, with the receipt that acknowledges this delivery and no other."""

    job: Job
    receipt: str
    deliveries: int
    """How often this message has been delivered so far, 1 for the first time; approximate."""


class RunWatch(Protocol):
    """One who waits for the end of a run."""

    @property
    def hears(self) -> bool:
        """Whether an end would be heard now. While it is not, whoever waits looks at the run again and again."""
        ...

    async def wait(self, wait_s: float) -> None:
        """Return when the run's end was told since the last wait, or after `wait_s` seconds; sometimes for nothing."""
        ...


class JobTransport(Protocol):
    """The port. Every method is best effort: an error or a lost effect costs latency, never correctness."""

    @property
    def delivers(self) -> bool:
        """Whether `dequeue` returns jobs to be claimed by id; otherwise `listen` tells where something may wait."""
        ...

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Announce jobs, after the commit that made them. May be called twice for one job."""
        ...

    async def dequeue(self, *, queues: Sequence[str], limit: int, wait_s: float) -> Sequence[Delivery]:
        """Wait up to `wait_s` seconds for jobs of `queues`, and return at most `limit`, as soon as there is one.

        Jobs for pending runs reach every caller whatever its queues. Order is not promised. A delivered job is
        invisible to others until it is acknowledged or its visibility ends. Nothing, at once, from a transport that
        only hints.
        """
        ...

    async def listen(self, *, queues: Sequence[str], wait_s: float) -> Collection[str | None]:
        """Wait up to `wait_s` seconds for a hint, and return where something may wait now: the names of `queues` in
        which there may be tasks, None where there may be pending runs.

        Nothing when the time is over. All of `queues`, and None, where something may have been missed. Nothing, at
        once, from a transport that delivers.
        """
        ...

    async def complete(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge: these deliveries are done with. A stale receipt is ignored."""
        ...

    async def suspend(self, deliveries: Sequence[Delivery], *, delay_s: float) -> None:
        """Deliver these again after `delay_s` seconds at the earliest. A stale receipt is ignored."""
        ...

    async def fail(self, deliveries: Sequence[Delivery], *, reason: str) -> None:
        """These can never be handled (malformed, poisonous): take them out of the way, visibly."""
        ...

    async def extend(self, deliveries: Sequence[Delivery], *, visibility_s: float) -> None:
        """Keep these invisible for `visibility_s` more seconds. A stale receipt is ignored."""
        ...

    async def tell_ended(self, run_ids: Sequence[str]) -> None:
        """Tell whoever watches one of these runs that it has ended, after the commit."""
        ...

    def watch(self, run_id: str) -> AbstractContextManager[RunWatch | None]:
        """Hear of the end of a run inside the block; None where this transport cannot tell of it."""
        ...

    async def aclose(self) -> None:
        """Close what was opened; wakes everyone who waits for jobs, for a hint or for the end of a run."""
        ...
