"""The bounds within which a host ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

SETTLE_S = 5.0
"""How long an ending host keeps trying to record what is done, once it has been asked to end."""


async def within(duration_s: float, work: Awaitable[object]) -> None:
    """Wait for `work`, at most for that long; then it is cancelled and left undone."""
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            await work
