"""`Deferred`: a command that somebody carries out later, as whoever asked or looked for it holds it."""

from __future__ import annotations

from ...ports.reading import RunFilter
from ..commands import RetryDeferred, WithdrawDeferred
from ..entries import deferred_entry_of
from ..errors import DeferredNotFound
from ..runs import RunHandle
from ..schedules import DeferredRecord, deferred_record
from .commanding import Commanding


class Deferred:
    """A command that is carried out at its time, or, on a caller's connection, after the commit.

    Holding it costs nothing, and nothing here needs a flow's code.
    """

    def __init__(self, kernel: Commanding, record: DeferredRecord, *, created: bool = False) -> None:
        self._kernel = kernel
        self.name = record.name
        self.record = record
        """The command as it was asked for, or read last."""
        self.created = created
        """Whether the call that returned this has deferred it; False where the key was known, or it was looked for."""

    def __repr__(self) -> str:
        return f"Deferred({self.name!r})"

    async def run(self) -> RunHandle:
        """The run that it starts, cancels or signals.

        Of a start that is not carried out yet, or is held, it is the run that is to be: reading it raises
        `RunNotFound`. Only a start with a key may come to another run than the record says: where somebody else has
        started one with that key and the same payload meanwhile, this is it, as soon as the time has come.

        Raises:
            AdapterError: the store failed.
        """
        ports, start = self._kernel.ports, self.record
        if start.kind == "start" and start.key is not None and await ports.scheduler.read(self.name) is None:
            of_key = RunFilter(flow=start.flow, key=start.key)
            for run in (await ports.persistence.list_runs(of_key, limit=1, after=None)).runs:
                return self._kernel.run(run.id)
        return self._kernel.run(start.run_id)

    async def read(self) -> DeferredRecord:
        """The command as it stands.

        Raises:
            DeferredNotFound: it was carried out or withdrawn; or the transaction that asked for it has not committed.
        """
        kept = await self._kernel.ports.scheduler.read(self.name)
        if kept is None:
            raise DeferredNotFound(self.name)
        self.record = deferred_record(kept.scheduled, deferred_entry_of(kept))
        return self.record

    async def retry(self) -> DeferredRecord:
        """Carry it out as soon as a host can, whatever its time is and however often it has failed.

        Raises:
            DeferredNotFound: it was carried out or withdrawn.
        """
        self.record = await self._kernel.dispatch(RetryDeferred(self.name))
        return self.record

    async def withdraw(self) -> bool:
        """Forget it. False where it is too late: it was carried out, or a host is just doing so; of a start, its run is
        there.

        After True a start's run never begins: it is there as cancelled, with the reason `withdrawn`, and without the
        key, which can be used again. It has no config and no annotations, so it cannot be begun anew.
        """
        return await self._kernel.dispatch(WithdrawDeferred(self.name))
