"""One seed of the campaign."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random

from attrs import evolve, frozen

from fairlead.hosts.simulation.broken import Broken
from fairlead.hosts.simulation.faults import Faults, chance_beside
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.timeline import Entry
from fairlead.hosts.virtual import Deadlock

from .beside import Beside
from .clients import Played, random_plays
from .endings import calm_ending
from .flows import random_flows
from .judging import problems_of

KILLS_MAX = 8

INLINE_BYTES = (64 * 1024, 64 * 1024, 50)
"""The largest payloads in rows: in a third of all worlds nearly everything is a blob."""


CLOCK_JUMPS_S = (None, 3.0, 15.0)
"""How often machines miscount the time, where hosts go by what their machines count; None for never."""


@frozen(kw_only=True)
class Result:
    """What came of one seed."""

    seed: int
    problems: tuple[str, ...]
    timeline: tuple[Entry, ...]
    digest: str
    virtual_s: float
    seconds: float
    """Real ones."""
    executions: int
    states: int
    """Committed states that were checked."""
    struck: dict[str, int]
    beside: dict[str, int]
    """What went on beside its clients, and how often that had an effect."""

    def brief(self) -> Result:
        """Without the timeline, which is long."""
        return evolve(self, timeline=())


def play_seed(
    seed: int,
    *,
    faults: Faults | None = None,
    without: Callable[[], AbstractContextManager[object]] = nullcontext,
    arranged: Callable[[list[Played], Setting], Setting] | None = None,
) -> Result:
    """Play one seed to its end, whatever that is.

    Args:
        seed: what all chance comes from.
        faults: which may strike; all where None.
        without: switches something off for as long as faults strike and the world heals. What is compared with, a
            world without faults, has it.
        arranged: changes what was drawn: what is done with runs, and the setting.
    """
    began_s = time.perf_counter()
    random = Random(f"campaign {seed}")
    drawn = [each for number in range(random.randint(1, 2)) for each in random_flows(random, f"flow{number}")]
    plays = random_plays(random, drawn)
    calm = {played.key: calm_ending(played.key, played.drawn, played.input) for played in plays}
    beside = Beside.drawn(Random(f"campaign beside {seed}"))
    setting = _setting(Faults() if faults is None else faults, random)
    if arranged is not None:
        setting = arranged(plays, setting)
    flows = [each.flow for each in drawn]
    world = beside.world(flows, setting, random, inline_bytes_max=random.choice(INLINE_BYTES))
    problems: list[str] = []
    with without(), world:
        try:
            world.play(lambda world: beside.play(world, plays))
            problems = world.loop.run_until_complete(problems_of(world, plays, calm, beside))
        except Broken as broken:
            problems = list(broken.problems)
        except Deadlock as deadlock:
            problems = [str(deadlock)]
        except Exception as error:  # whatever it is, the seed that shows it is to be named
            problems = [f"{type(error).__name__}: {error}"]
        return Result(
            seed=seed,
            problems=tuple(problems),
            timeline=tuple(world.timeline.entries),
            digest=world.timeline.digest,
            virtual_s=world.loop.time(),
            seconds=time.perf_counter() - began_s,
            executions=world.ledger.count,
            states=world.checks.states,
            struck=world.strikes.struck,
            beside=beside.effects(world),
        )


def _setting(faults: Faults, random: Random) -> Setting:
    """A setting in which clocks may also jump, which costs attempts beyond those that a user's flow has."""
    setting = Setting.drawn(faults, random, kills_max=KILLS_MAX)
    if not setting.weather.machine_clock_offset_s:
        return setting
    jump_every_s = chance_beside(random).choice(CLOCK_JUMPS_S)
    return evolve(setting, weather=evolve(setting.weather, clock_jump_every_s=jump_every_s))
