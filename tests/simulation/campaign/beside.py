"""What goes on in some worlds beside the clients of random runs.

All of it is drawn from a source of chance of its own: a seed that has none of it has the course that it had before
there was any.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Any

from attrs import frozen

from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Flow, Kernel, RunFilter

from .clients import Played, play_all
from .letters import Letters
from .removal import Removal
from .ticking import Ticking

SHARE = 0.1
"""Of all worlds have each of these."""


@frozen(kw_only=True)
class Beside:
    """What one world has of it."""

    removal: Removal | None = None
    letters: Letters | None = None
    ticking: Ticking | None = None

    @classmethod
    def drawn(cls, random: Random) -> Beside:
        """What the world of one seed has; each draws from a source of its own, whatever the others have drawn."""
        sources = [Random(random.random()) for _ in range(3)]
        removal, letters, ticking = [source if source.random() < SHARE else None for source in sources]
        return cls(
            removal=None if removal is None else Removal.random_one(removal),
            letters=None if letters is None else Letters.random_ones(letters),
            ticking=None if ticking is None else Ticking.random_one(ticking),
        )

    def effects(self, world: World) -> dict[str, int]:
        """What there is, and how many runs were removed, events lost, and runs started by the clock."""
        effects: dict[str, int] = {}
        if self.removal is not None:
            effects["removal"] = world.checks.removals.removed
        if self.letters is not None:
            effects["letters"] = self.letters.sink.lost + self.letters.subscriber.lost
        if self.ticking is not None:
            effects["ticking"] = self.ticking.runs
        return effects

    @property
    def flows(self) -> Sequence[Flow[Any]]:
        """What hosts serve for it."""
        removed = () if self.removal is None else (self.removal.drawn.flow,)
        return removed if self.ticking is None else (*removed, self.ticking.flow)

    def arranged(self, setting: Setting) -> Setting:
        """The setting that it takes."""
        return setting if self.removal is None else self.removal.arranged(setting)

    def world(self, flows: Sequence[Flow[Any]], setting: Setting, random: Random, *, inline_bytes_max: int) -> World:
        """A world of these flows that has room for it."""
        letters = self.letters
        return World(
            [*flows, *self.flows],
            self.arranged(setting),
            random,
            inline_bytes_max=inline_bytes_max,
            sink=None if letters is None else letters.sink,
            prepared=None if letters is None else letters.prepare,
        )

    async def play(self, world: World, plays: Sequence[Played]) -> None:
        """Let all clients act side by side."""
        others = asyncio.Event()
        async with AsyncExitStack() as acts:
            for each in (self.removal, self.letters):
                if each is not None:
                    acting = await acts.enter_async_context(asyncio.TaskGroup())
                    acting.create_task(each.play(world, others))
            if self.ticking is None:
                await play_all(world, plays)
            else:
                await asyncio.gather(play_all(world, plays), self.ticking.play(world))
            others.set()

    async def problems(self, world: World, kernel: Kernel) -> AsyncIterator[str]:
        """What does not hold at the end of a world: judged first, since the others' runs have to be there after it."""
        if self.ticking is not None:
            async for problem in self.ticking.problems(world, kernel):
                yield problem
        if self.letters is not None:
            page = await kernel.runs(RunFilter(), limit=1_000)
            for problem in self.letters.problems([await kernel.run(run.id).details() for run in page.runs], world):
                yield problem
        if self.removal is not None:
            async for problem in self.removal.problems(world, kernel):
                yield problem
