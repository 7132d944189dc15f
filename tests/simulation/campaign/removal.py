"""Removal beside everything else: runs that nobody keeps, and blobs that nobody refers to.

A flow of its own says for how long its runs are kept. Clients start some of these runs, and read how each ended unless
it is gone by then. Beside them somebody removes what is old again and again, as hosts do by themselves, while faults
strike. The runs of the other flows, and everything that they need, have to survive that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from random import Random

from attrs import define, evolve, field

from fairlead.hosts.simulation.clocks import clock_error_s
from fairlead.hosts.simulation.judging import broken_promises
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Kernel, UsageError
from fairlead.kernel.commands import CollectBlobs
from fairlead.kernel.references import owner_of
from fairlead.ports.errors import FairleadError

from .endings import Ending, calm_ending, ending_of
from .flows import Drawn, random_flow, random_input
from .handlers import Value

SLUG = "shortlived"
STEPS_MAX = 3
RUNS_MAX = 4
RETENTIONS_S = (5.0, 20.0, 60.0)

KILLS_MAX = 3
"""Fewer than elsewhere, so that `_grace_s` is not longer than a world lasts."""

STALL_S = 120.0
"""How long a process that is not struck by anything longer takes from writing a blob to writing who refers to it."""

MISCOUNTED_S_MAX = 200.0
PAUSED_LEASES_MAX = 4.0

CARE_S = (1.0, 10.0)
"""The pauses of whoever removes."""

COLLECTS = 0.3
"""How likely they look for orphaned blobs, too."""

LATER_S = 7_200.0
"""After this time every blob is older than any grace."""


@define
class _Run:
    """One run that may be removed, and what its client has seen of it."""

    key: str
    input: Value
    starts_after_s: float
    calm: Ending
    id: str | None = None
    ending: Ending | None = None
    """None where it was gone before its client had read it."""


@define
class Removal:
    """What is removed in one world, and by whom."""

    drawn: Drawn
    random: Random
    retention_s: float
    runs: list[_Run] = field(factory=list["_Run"])
    pruned: int = 0
    collected: int = 0

    @classmethod
    def random_one(cls, random: Random) -> Removal:
        """Some runs of a flow that says how long they are kept."""
        retention_s = random.choice(RETENTIONS_S)
        drawn = random_flow(random, SLUG, random.randint(1, STEPS_MAX), retention=retention_s)
        removal = cls(drawn, random, retention_s)
        for number in range(random.randint(1, RUNS_MAX)):
            input = random_input(random)
            calm = calm_ending(f"short{number}", drawn, input)
            removal.runs.append(_Run(f"short{number}", input, random.uniform(0, 20), calm))
        return removal

    def arranged(self, setting: Setting) -> Setting:
        """A setting in which what is listed is struck as well, and which lasts for as long as a blob has to be old."""
        setting = evolve(
            setting,
            kills=min(setting.kills, KILLS_MAX),
            weather=evolve(setting.weather, listings=True),
        )
        return evolve(setting, storm_s=max(setting.storm_s, 2 * _grace_s(setting)))

    async def play(self, world: World, others: asyncio.Event) -> None:
        """Let clients start runs, and somebody remove them, until the others have done what they do."""
        async with asyncio.TaskGroup() as acts:
            acts.create_task(self._care(world, others))
            for run in self.runs:
                acts.create_task(self._client(world, run))

    # What clients do

    async def _client(self, world: World, run: _Run) -> None:
        await asyncio.sleep(run.starts_after_s)

        async def start(kernel: Kernel) -> bool:
            run.id = (await kernel.start(self.drawn.flow, run.input, key=run.key)).id
            return True

        await world.insist(f"start {run.key}", start)
        assert run.id is not None, "its client was told"
        async with asyncio.TaskGroup() as answers:
            for step in self.drawn.signals:
                answers.create_task(self._answer(world, run.id, step))
        while world.exists(run.id) and not world.has_ended(run.id):  # noqa: ASYNC110 as a client would that polls
            await asyncio.sleep(1)

        async def read(kernel: Kernel) -> bool:
            assert run.id is not None, "its client was told"
            ending: Ending | None = None
            try:
                ending = await ending_of(kernel, run.id)
            except FairleadError:
                if world.exists(run.id):
                    raise
            if world.exists(run.id):  # else it was removed before all of it was read
                run.ending = ending
            return True

        await world.insist(f"read {run.key}", read)

    async def _answer(self, world: World, run_id: str, step: str) -> None:
        async def act(kernel: Kernel) -> bool:
            with suppress(UsageError):  # it has ended, or is gone
                await kernel.run(run_id).signal(step, len(step), key="of the client")
            return True

        await asyncio.sleep(self.random.uniform(0, 20))
        await world.insist(f"answer {run_id}", act)

    async def _care(self, world: World, others: asyncio.Event) -> None:
        """Remove what is old, as long as there is any and faults strike."""
        grace = timedelta(seconds=_grace_s(world.setting))

        async def prune(kernel: Kernel) -> bool:
            self.pruned += (await kernel.prune(older_than=self.retention_s, flow=SLUG)).runs
            return True

        async def collect(kernel: Kernel) -> bool:
            self.collected += (await kernel.dispatch(CollectBlobs(older_than=grace))).blobs
            return True

        while not world.strikes.calm and not (others.is_set() and self._are_gone(world)):
            await asyncio.sleep(self.random.uniform(*CARE_S))
            await world.insist("caretaker", prune)
            if self.random.random() < COLLECTS:
                await world.insist("collector", collect)

    def _are_gone(self, world: World) -> bool:
        return all(run.id is not None and not world.exists(run.id) for run in self.runs)

    # What must hold at the end

    async def problems(self, world: World, kernel: Kernel) -> AsyncIterator[str]:
        """What does not: judged before anything else is, since what the others need has to be there afterwards."""
        for run in self.runs:
            async for problem in self._of_run(world, kernel, run):
                yield f"{run.key} ({SLUG}): {problem}"
        # Clocks are wrong: that of who wrote when they ended, and of who looks whether that is long ago.
        clocks_s = 2 * clock_error_s(world.setting.weather)
        world.loop.jump(world.loop.time() + self.retention_s + clocks_s + 1)
        await kernel.prune(older_than=self.retention_s, flow=SLUG)
        left = [run.key for run in self.runs if run.id is not None and world.exists(run.id)]
        if left:
            yield f"{', '.join(left)} should be removed by now"
        world.loop.jump(world.loop.time() + LATER_S)
        await kernel.collect_blobs(older_than=LATER_S / 2)
        async for blob in world.blobs.list("runs/"):
            owner = owner_of(blob.key)
            if owner is None or not world.exists(owner.run_id):
                yield f"blob {blob.key} is left of a run that is not there"

    async def _of_run(self, world: World, kernel: Kernel, run: _Run) -> AsyncIterator[str]:
        if run.ending is not None and run.ending != run.calm:
            yield f"ending: it had ended as {run.ending}; without faults as {run.calm}"
        if run.id is None or not world.exists(run.id):
            return
        for problem in broken_promises(world, self.drawn.flow, [await kernel.run(run.id).details()]):
            yield problem
        ending = await ending_of(kernel, run.id)
        if ending != run.calm:
            yield f"ending: it ended as {ending}; without faults as {run.calm}"


def _grace_s(setting: Setting) -> float:
    """How long a process may take from writing a blob to writing who refers to it, whatever strikes it."""
    stands_still_s = PAUSED_LEASES_MAX * setting.lease.total_seconds() * setting.kills
    miscounted_s = 0.0 if setting.weather.clock_jump_every_s is None else MISCOUNTED_S_MAX * setting.kills
    return STALL_S + stands_still_s + miscounted_s
