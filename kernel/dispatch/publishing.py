"""Publishing committed events."""

from __future__ import annotations

from ..commands import Flushed, FlushOutbox
from .flushing import flush
from .means import Handlers, Means


class Publishing:
    """Carries out `FlushOutbox`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {FlushOutbox: self._flush_outbox}

    async def _flush_outbox(self, command: FlushOutbox) -> Flushed:
        if self._means.ports.sink is None:
            return Flushed(published=0)
        return await flush(
            self._means.persistence,
            self._means.ports.sink,
            self._means.clock,
            worker=command.worker,
            lease_duration=command.lease_duration,
            limit=command.limit,
        )
