"""The command line of the proof."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from attrs import define, field

from .convicting import accusations
from .safeguards import SAFEGUARDS, Safeguard

CHUNK = 5
"""Seeds that a process plays at a time."""


@define
class Trial:
    """What the worlds without one safeguard have come to."""

    safeguard: Safeguard
    played: int = 0
    first: int | None = None
    """The first seed that convicts it by one of the checks that it names."""
    convictions: int = 0
    accused: Counter[str] = field(factory=Counter[str])

    def note(self, seed: int, accused: frozenset[str]) -> None:
        """One more world."""
        self.played += 1
        self.accused.update(accused)
        if accused & {*self.safeguard.convicted_by}:
            self.convictions += 1
            self.first = seed if self.first is None else self.first

    def __str__(self) -> str:
        checks = ", ".join(f"{name} {count}" for name, count in self.accused.most_common(4)) or "nothing"
        seed = "never" if self.first is None else f"at seed {self.first}"
        density = 100 * self.convictions / self.played
        return f"{self.safeguard.name:<45} {seed:<13} {density:5.1f} in 100 of {self.played:<5} {checks}"


def main() -> int:
    """Try every safeguard, print what convicts it, and answer 1 where nothing does."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.ablation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many worlds may pass unnoticed (default: 1000)")
    parser.add_argument("--least", type=int, default=100, help="how many are played in any case (default: 100)")
    parser.add_argument("--only", default="", help="the safeguards with this in their names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    options = parser.parse_args()
    unnoticed = 0
    with ProcessPoolExecutor(options.jobs) as processes:
        for number, safeguard in enumerate(SAFEGUARDS):
            if options.only in safeguard.name:
                trial = _try(processes, number, options.jobs * 2, least=options.least, most=options.seeds)
                unnoticed += trial.first is None
                print(trial, flush=True)
    return 1 if unnoticed else 0


def _try(processes: ProcessPoolExecutor, number: int, ahead: int, *, least: int, most: int) -> Trial:
    trial = Trial(SAFEGUARDS[number])
    chunks = _chunks(most)
    waiting = [processes.submit(_accusations, number, chunk) for chunk in islice(chunks, ahead)]
    while waiting:
        for seed, accused in waiting.pop(0).result():
            trial.note(seed, accused)
        if trial.first is not None and trial.played >= least:
            for each in waiting:
                each.cancel()
            break
        waiting += [processes.submit(_accusations, number, chunk) for chunk in islice(chunks, 1)]
    return trial


def _chunks(seeds: int) -> Iterator[range]:
    return (range(first, min(first + CHUNK, seeds)) for first in range(0, seeds, CHUNK))


def _accusations(number: int, seeds: range) -> list[tuple[int, frozenset[str]]]:
    return [(seed, accusations(SAFEGUARDS[number], seed)) for seed in seeds]


if __name__ == "__main__":
    sys.exit(main())
