"""The hosts that work on a store."""

from __future__ import annotations

from ..workers import Worker, as_worker
from .commanding import Commanding


class Workers(Commanding):
    """Which hosts there are."""

    async def workers(self) -> list[Worker]:
        """The hosts that are known, of whatever flows, by worker id: running, silent, and those that have ended.

        Each announced itself; one that was killed is silent until it is forgotten, a week later.
        """
        await self._keep_time()
        now = self.ports.clock.now()
        return [as_worker(record, now) for record in await self.ports.persistence.read_workers()]
