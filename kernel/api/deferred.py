"""`Deferred`: a command that somebody carries out later, as whoever asked for it holds it."""

from __future__ import annotations

from datetime import datetime

from ..commands import Deferral, WithdrawDeferred
from ..entries import deferred_entry_of
from ..errors import DeferredNotFound
from ..runs import RunHandle
from ..schedules import DeferredRecord, deferred_record
from .commanding import Commanding


class Deferred:
    """A command that is carried out at its time, or, on a caller's connection, after the commit."""

    def __init__(self, kernel: Commanding, *, name: str, run: RunHandle, due_at: datetime, created: bool) -> None:
        self._kernel = kernel
        self.name = name
        self.run = run
        """The run that it starts, cancels or signals. Before a start was carried out, reading it raises
        `RunNotFound`."""
        self.due_at = due_at
        """When it was asked for."""
        self.created = created
        """Whether the call that returned this has deferred it; False where the key was known."""

    def __repr__(self) -> str:
        return f"Deferred({self.name!r})"

    async def read(self) -> DeferredRecord:
        """The command as it stands.

        Raises:
            DeferredNotFound: it was carried out or withdrawn; or the transaction that asked for it has not committed.
        """
        kept = await self._kernel.ports.scheduler.read(self.name)
        if kept is None:
            raise DeferredNotFound(self.name)
        return deferred_record(kept.scheduled, deferred_entry_of(kept))

    async def withdraw(self) -> bool:
        """Forget it. False where it is too late: it was carried out, or a host is just doing so."""
        return await self._kernel.dispatch(WithdrawDeferred(self.name))


def deferred_of(kernel: Commanding, deferral: Deferral, due_at: datetime) -> Deferred:
    """What became of a command that was deferred, as its handle."""
    run = kernel.run(deferral.run_id)
    return Deferred(kernel, name=deferral.name, run=run, due_at=due_at, created=deferral.created)
