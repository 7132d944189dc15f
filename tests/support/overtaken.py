"""A port before whose calls somebody else is quicker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


class Overtaken:
    """A port that lets somebody else go first, at the calls that a test names; all others are those of the port.

    Args:
        inner: the port.
        before: by the name of a method, what happens before each of its calls.
    """

    def __init__(self, inner: Any, **before: Callable[[], Awaitable[object]]) -> None:
        self._inner = inner
        self._before = before

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._inner, name)
        if name not in self._before:
            return called

        async def overtaken(*arguments: Any, **named: Any) -> Any:
            await self._before[name]()
            return await called(*arguments, **named)

        return overtaken


def once(act: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """What happens the first time alone."""
    waiting = [act]

    async def first() -> None:
        if waiting:
            await waiting.pop()()

    return first
