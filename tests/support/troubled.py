"""A store that does what a test tells it, once: lose the answer to a commit, run into a lock, refuse a value."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel
from fairlead.ports import Ports
from fairlead.ports.changes import Changes, NewRun
from fairlead.ports.errors import Contention, UnstorableValue
from fairlead.ports.persistence import Transaction
from fairlead.ports.records import LoadRequest, Snapshot, StartedRun


class PatientClock(ManualClock):
    """A clock that passes by itself when somebody sleeps: a command pauses before it tries again."""

    async def sleep(self, duration_s: float) -> None:
        self.advance(duration_s)


class Troubled:
    """Persistence that does what a test tells it, once, and otherwise what its store does."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.commit_error: list[Exception | None] = []
        """For each transaction that applies changes: what its commit raises, after it happened for `CommitUnknown`."""
        self.load_error: list[Exception | None] = []
        self.insert_error: list[Exception | None] = []
        self.refused: bytes | None = None
        """An output that the store refuses."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def insert_runs(self, runs: Sequence[NewRun], **options: Any) -> Sequence[StartedRun]:
        error = self.insert_error.pop(0) if self.insert_error else None
        started: Sequence[StartedRun] = await self._inner.insert_runs(runs, **options)
        if error is not None:
            raise error
        return started

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        error: Exception | None = None
        async with self._inner.transaction() as transaction:
            watched: Any = _Watched(transaction, self)
            yield watched
            if watched.applied and self.commit_error:
                error = self.commit_error.pop(0)
                if isinstance(error, Contention):
                    raise error
        if error is not None:
            raise error


class _Watched:
    def __init__(self, inner: Transaction, troubled: Troubled) -> None:
        self._inner = inner
        self._troubled = troubled
        self.applied = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def load(self, request: LoadRequest) -> Snapshot:
        error = self._troubled.load_error.pop(0) if self._troubled.load_error else None
        if error is not None:
            raise error
        return await self._inner.load(request)

    async def apply(self, changes: Changes) -> None:
        if any(task.output is not None and task.output == self._troubled.refused for task in changes.tasks):
            raise UnstorableValue("refused")
        self.applied = True
        await self._inner.apply(changes)


def kernel_over(world: Ports, troubled: Troubled, *flows: Flow[Any]) -> Kernel:
    """A kernel over that store."""
    persistence: Any = troubled
    return Kernel(flows=flows, ports=evolve(world, persistence=persistence))
