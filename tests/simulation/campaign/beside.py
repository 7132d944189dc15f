"""What goes on in some worlds beside the clients of random runs.

All of it is drawn from a source of chance of its own: a seed that has none of it has the course that it had before
there was any.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

from attrs import frozen

from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Flow, Kernel

from .clients import Played, play_all
from .removal import Removal

SHARE = 0.1
"""Of all worlds have each of these."""


@frozen(kw_only=True)
class Beside:
    """What one world has of it."""

    removal: Removal | None = None

    @classmethod
    def drawn(cls, random: Random) -> Beside:
        """What the world of one seed has."""
        return cls(removal=Removal.random_one(random) if random.random() < SHARE else None)

    @property
    def names(self) -> tuple[str, ...]:
        """What there is."""
        return tuple(name for name in ("removal",) if getattr(self, name) is not None)

    @property
    def flows(self) -> Sequence[Flow[Any]]:
        """What hosts serve for it."""
        return [] if self.removal is None else self.removal.flows

    def arranged(self, setting: Setting) -> Setting:
        """The setting that it takes."""
        return setting if self.removal is None else self.removal.arranged(setting)

    async def play(self, world: World, plays: Sequence[Played]) -> None:
        """Let all clients act side by side."""
        if self.removal is None:
            await play_all(world, plays)
            return
        others = asyncio.Event()
        async with asyncio.TaskGroup() as acts:
            acts.create_task(self.removal.play(world, others))
            await play_all(world, plays)
            others.set()

    async def problems(self, world: World, kernel: Kernel) -> AsyncIterator[str]:
        """What does not hold at the end of a world."""
        if self.removal is not None:
            async for problem in self.removal.problems(world, kernel):
                yield problem
