"""Commands that stop on their way: before what they ask of the store, and before each commit.

One side of a race passes points, which `Steps` counts. At one of them it stops until it may go on. In PostgreSQL a
point is an exchange with the server or a commit, those of single statements included: between two points a command does
nothing that another could come between. In memory a point is a call of the port, or a commit.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from fairlead.ports.persistence import Transaction
from tests.support.stepping import COMMIT, Done

POLLS = 4
"""How often in a row the same is asked by nobody who does not wait."""


@define
class Steps:
    """The points that one side passes."""

    stop: int | None = None
    """At which it stops, from 0; at none where None."""
    passed: list[str] = field(factory=list[str])
    stopped: asyncio.Event = field(factory=asyncio.Event)
    go_on: asyncio.Event = field(factory=asyncio.Event)
    polls: asyncio.Event = field(factory=asyncio.Event)
    """Set once it asks the same again and again: it waits for somebody, though not for a lock."""

    def begin(self, stop: int | None) -> None:
        """Count from the start."""
        self.stop = stop
        self.passed.clear()
        self.stopped.clear()
        self.polls.clear()
        self.go_on.clear()

    async def __call__(self, name: str, operation: Callable[[], Awaitable[Done]], /) -> Done:
        """Pass a point, and do what is there."""
        await self.at(name)
        return await operation()

    async def at(self, name: str) -> None:
        """Pass a point."""
        self.passed.append(name)
        if self.passed[-POLLS:] == [name] * POLLS:
            self.polls.set()
        if len(self.passed) - 1 == self.stop:
            self.stopped.set()
            await self.go_on.wait()


class SteppedPort:
    """A port in memory whose every call, and whose transactions' every commit, is a point."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        attribute: Any = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(attribute) or name == "aclose":
            return attribute

        async def call(*arguments: Any, **named: Any) -> Any:
            await self._steps.at(name)
            return await attribute(*arguments, **named)

        return call

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """A transaction that stops before its commit."""
        async with self._inner.transaction() as transaction:
            stepped: Any = SteppedPort(transaction, self._steps)
            yield stepped
            await self._steps.at(COMMIT)
