"""Waiting for what another process does, where nothing can tell us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

DEADLINE_S = 30.0

PAUSE_S = 0.001


async def until(condition: Callable[[], Found]) -> Found:
    """Ask again and again until the answer is true in the sense of Python, and return it; fail after half a minute."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = condition()
            if found:
                return found
            await asyncio.sleep(PAUSE_S)
