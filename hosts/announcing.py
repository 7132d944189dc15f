"""A host's own word that it is there: when it starts, every half minute, and when it ends.

Nobody relies on it (leases say who has a task), so whatever goes wrong with it is told in the log and left at that.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from ..kernel import Kernel
from ..kernel.commands import AnnounceWorker
from ..kernel.workers import ANNOUNCE_INTERVAL
from ..ports.workers import HostKind, ServedFlow

RETRY_S = 5.0
"""How soon an announcement that failed is made again."""

GOODBYE_S = 2.0
"""How long a host that ends tries to say so."""


class Announcer:
    """Announces one host. Belongs to one event loop.

    Args:
        kernel: whose flows it runs.
        worker: its worker id.
        kind: how it lives.
        queues: the queues it serves.
        slots: how many handlers it runs at a time.
    """

    def __init__(self, kernel: Kernel, *, worker: str, kind: HostKind, queues: tuple[str, ...], slots: int) -> None:
        self._kernel = kernel
        self._clock = kernel.ports.clock
        self._worker = worker
        self._kind = kind
        self._queues = queues
        self._slots = slots
        self._began_s = self._due_s = self._clock.monotonic()
        self._started_at: datetime | None = None
        """None before it is announced: a clock that has shown a time does not step back, so nobody looks at it before
        it is measured."""
        self._known = False
        """Whether it may have been announced."""

    @property
    def due_in_s(self) -> float:
        """The seconds until the next announcement; not positive where it is due."""
        return self._due_s - self._clock.monotonic()

    async def announce(self) -> int:
        """Say that the host is there. Always answers 0: there is nothing to count."""
        self._due_s = self._clock.monotonic() + RETRY_S
        self._known = True
        await self._say(ends=False)
        self._due_s = self._clock.monotonic() + ANNOUNCE_INTERVAL.total_seconds()
        return 0

    async def say_goodbye(self) -> int:
        """Say that the host ends, if it was ever announced. Always answers 0."""
        if self._known:
            self._known = False
            await self._say(ends=True)
        return 0

    async def _say(self, *, ends: bool) -> None:
        if self._started_at is None:
            self._started_at = self._clock.now() - timedelta(seconds=self._clock.monotonic() - self._began_s)
        await self._kernel.dispatch(
            AnnounceWorker(
                worker=self._worker,
                kind=self._kind,
                host=socket.gethostname(),
                pid=os.getpid(),
                flows=tuple(ServedFlow(flow.slug, flow.version) for flow in self._kernel.flows),
                queues=self._queues,
                slots=self._slots,
                sinks=self._kernel.sink_names,
                started_at=self._started_at,
                ends=ends,
            )
        )
