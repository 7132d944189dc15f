"""Playing worlds of the campaign and struck scenarios, and noting which marks each of them reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from random import Random

from attrs import frozen

from fairlead.hosts.simulation.fate import Strike
from tests.simulation.campaign.seed import play_seed
from tests.simulation.playing import DRIVEN, play
from tests.simulation.scenarios import SCENARIOS

from .watching import watched

STRIKES_MAX = 6
"""Strikes of one scenario: few enough that no task uses up its attempts."""


@frozen
class Reached:
    """What one seed reached."""

    seed: int
    by_world: Mapping[str, int]
    """How often, by the words of the marks, in a world of the campaign."""
    by_strikes: Mapping[str, int]
    """Likewise in a scenario whose port calls are struck."""


def play_watched(seeds: Iterable[int]) -> Generator[Reached]:
    """Play a world and a scenario for each seed."""
    with watched() as reached:
        for seed in seeds:
            yield _play(seed, reached)


def play_chunk(seeds: range) -> list[Reached]:
    """As `play_watched`, for another process."""
    return list(play_watched(seeds))


def _play(seed: int, reached: Counter[str]) -> Reached:
    reached.clear()
    play_seed(seed)
    by_world = Counter(reached)
    reached.clear()
    play_strikes(seed)
    return Reached(seed, by_world, Counter(reached))


def play_strikes(seed: int) -> None:
    """Play a scenario in which some port calls are struck."""
    chosen = Random(f"marks {seed}")
    strikes = {chosen.randrange(120): chosen.choice(list(Strike)) for _ in range(chosen.randint(1, STRIKES_MAX))}
    play(chosen.choice(SCENARIOS), chosen.choice(DRIVEN), strikes)
