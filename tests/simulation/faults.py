"""Ports that fail on purpose: at a chosen call, before it, after it, or with its answer lost.

Every call of a port is a point. A transaction has a point at each of its own calls, one at its beginning and one at
its commit. At a point one of four things may happen (`Mode`). An injector that fails only before the operation finds
little: the interesting faults are those where the effect exists and nobody knows.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

from attrs import define, field

from fairlead.ports.errors import CommitUnknown, Unavailable
from fairlead.ports.persistence import Persistence, Transaction

T = TypeVar("T")


class Mode(enum.StrEnum):
    """What happens at a point."""

    FAIL_BEFORE = "fail before"
    """The caller gets `Unavailable`; the operation did not happen."""
    ANSWER_LOST = "answer lost"
    """The operation happened; the caller gets `CommitUnknown`."""
    KILL_BEFORE = "kill before"
    """The process dies; the operation did not happen."""
    KILL_AFTER = "kill after"
    """The operation happened; the process dies before it learns of it."""
    PAUSE = "pause"
    """The process stands still for longer than a lease, heartbeats included, and then goes on as if nothing was."""


PAUSE_S = 100.0
"""How long a paused process stands still: its leases run out and its tasks are given to others."""


class Killed(BaseException):
    """The process is gone. A `BaseException`, since nothing in it may catch this and go on."""


@define
class Injector:
    """Counts the points of a whole scenario and strikes at those it was told to."""

    strikes: Mapping[int, Mode]
    points: list[str] = field(factory=list[str])
    struck: list[str] = field(factory=list[str])

    def next(self, name: str) -> Mode | None:
        """Pass a point; what happens there."""
        mode = self.strikes.get(len(self.points))
        self.points.append(name)
        if mode is not None:
            self.struck.append(f"{len(self.points) - 1} {name}: {mode}")
        return mode


class Process:
    """One incarnation of a host or a client: dead for good once it was killed."""

    def __init__(self, injector: Injector) -> None:
        self.killed = asyncio.Event()
        self._injector = injector
        self._paused_until_s = 0.0

    async def at(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Carry out one port call, or what strikes it."""
        if self.killed.is_set():
            raise Killed(name)
        mode = self._injector.next(name)
        now_s = asyncio.get_running_loop().time()
        if mode is Mode.PAUSE:
            self._paused_until_s = now_s + PAUSE_S
        if now_s < self._paused_until_s:
            await asyncio.sleep(self._paused_until_s - now_s)
        if mode is Mode.FAIL_BEFORE:
            raise Unavailable(f"{name}: the connection was refused")
        if mode is Mode.KILL_BEFORE:
            self._die(name)
        result = await operation()
        if mode is Mode.KILL_AFTER:
            self._die(name)
        if mode is Mode.ANSWER_LOST:
            raise CommitUnknown(f"{name}: the answer was lost")
        return result

    def _die(self, name: str) -> None:
        self.killed.set()
        raise Killed(name)


READING = ("read_", "find_", "list_", "due")
"""How the methods of Persistence begin that write nothing."""


class _Calls:
    """A port all of whose coroutine methods are points."""

    def __init__(self, inner: object, process: Process, name: str) -> None:
        self._inner = inner
        self._process = process
        self._name = name

    def __getattr__(self, method: str) -> Any:
        attribute: Any = getattr(self._inner, method)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*arguments: Any, **named: Any) -> Any:
            operation = cast("Callable[[], Awaitable[Any]]", partial(attribute, *arguments, **named))
            return await self._process.at(f"{self._name}.{method}", operation)

        return call


def faulty(port: T, process: Process, name: str) -> T:
    """The port, its coroutine methods being points."""
    return cast(T, _Calls(port, process, name))


class FaultyPersistence(_Calls):
    """Persistence whose calls, transactions' calls and commits are points."""

    def __init__(self, inner: Persistence, process: Process, written: Callable[[], Awaitable[None]]) -> None:
        super().__init__(inner, process, "persistence")
        self._written = written

    def __getattr__(self, method: str) -> Any:
        attribute = super().__getattr__(method)
        if not inspect.iscoroutinefunction(attribute) or method.startswith(READING):
            return attribute

        async def call(*arguments: Any, **named: Any) -> Any:
            try:
                return await attribute(*arguments, **named)
            finally:
                await self._written()

        return call

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """A transaction; its commit is a point of its own."""
        manager = cast(Persistence, self._inner).transaction()
        entered = False

        async def begin() -> Transaction:
            nonlocal entered
            transaction = await manager.__aenter__()
            entered = True
            return transaction

        async def commit() -> None:
            nonlocal entered
            entered = False
            await manager.__aexit__(None, None, None)

        try:
            transaction = await self._process.at("transaction.begin", begin)
            yield faulty(transaction, self._process, "transaction")
            await self._process.at("transaction.commit", commit)
        finally:
            if entered:
                rollback = RuntimeError("rolled back")
                await manager.__aexit__(RuntimeError, rollback, None)
            await self._written()
