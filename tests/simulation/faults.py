"""Ports that fail on purpose: at a chosen call, before it, after it, or with its answer lost.

Every call of a port counts as one point. A transaction has a point at each of its own calls and one at its commit.
At a point the injector may do one of four things (`Mode`). An injector that fails only before the operation finds
little: the interesting faults are those where the effect exists and nobody knows.
"""

from __future__ import annotations

import enum
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


class Killed(BaseException):
    """The process is gone: nothing in it may catch this, clean up or go on."""


@define
class Injector:
    """Counts points and strikes at those it was told to."""

    strikes: Mapping[int, Mode]
    points: list[str] = field(factory=list[str])
    struck: list[str] = field(factory=list[str])
    dead: bool = False

    async def at(self, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Carry out one port call, or what strikes it."""
        if self.dead:
            raise Killed(name)
        mode = self.strikes.get(len(self.points))
        self.points.append(name)
        if mode is None:
            return await operation()
        self.struck.append(f"{name}: {mode}")
        if mode is Mode.FAIL_BEFORE:
            raise Unavailable(f"{name}: the connection was refused")
        if mode is Mode.KILL_BEFORE:
            self.dead = True
            raise Killed(name)
        result = await operation()
        if mode is Mode.KILL_AFTER:
            self.dead = True
            raise Killed(name)
        del result
        raise CommitUnknown(f"{name}: the answer was lost")


class _Calls:
    """A port all of whose coroutine methods are points."""

    def __init__(self, inner: object, injector: Injector, name: str) -> None:
        self._inner = inner
        self._injector = injector
        self._name = name

    def __getattr__(self, method: str) -> Any:
        attribute: Any = getattr(self._inner, method)
        if not callable(attribute):
            return attribute

        async def call(*arguments: Any, **named: Any) -> Any:
            operation = cast("Callable[[], Awaitable[Any]]", partial(attribute, *arguments, **named))
            return await self._injector.at(f"{self._name}.{method}", operation)

        return call


def faulty(port: T, injector: Injector, name: str) -> T:
    """The port, its coroutine methods being points of the injector."""
    return cast(T, _Calls(port, injector, name))


class FaultyPersistence(_Calls):
    """Persistence whose calls, transactions' calls and commits are points."""

    def __init__(self, inner: Persistence, injector: Injector, committed: Callable[[], Awaitable[None]]) -> None:
        super().__init__(inner, injector, "persistence")
        self._committed = committed

    def __getattr__(self, method: str) -> Any:
        call = super().__getattr__(method)

        async def call_and_check(*arguments: Any, **named: Any) -> Any:
            try:
                return await call(*arguments, **named)
            finally:
                await self._committed()

        return call_and_check

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
            transaction = await self._injector.at("persistence.begin", begin)
            yield faulty(transaction, self._injector, "transaction")
            await self._injector.at("persistence.commit", commit)
        finally:
            if entered:
                rollback = RuntimeError("rolled back")
                await manager.__aexit__(RuntimeError, rollback, None)
            await self._committed()

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Persistence]:
        """Another handle, whose calls are points too."""
        async with cast(Persistence, self._inner).dedicated() as inner:
            yield cast(Persistence, FaultyPersistence(inner, self._injector, self._committed))
