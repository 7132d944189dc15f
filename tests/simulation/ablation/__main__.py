"""The command line of the proof."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

from attrs import define, field, frozen

from . import seeds
from .convicting import accusations, convicts
from .safeguards import SAFEGUARDS, Safeguard

CHUNK = 4
"""Seeds that a process plays at a time."""

CONVICTIONS = 3
"""With so many of them the density is known well enough."""


@frozen
class Verdict:
    """What one world without a safeguard has come to."""

    seed: int
    accused: frozenset[str]
    convicts: bool


@define
class Trial:
    """What the worlds without one safeguard have come to."""

    safeguard: Safeguard
    played: int = 0
    first: int | None = None
    """The first seed that convicts it by one of the checks that it names."""
    convictions: int = 0
    accused: Counter[str] = field(factory=Counter[str])

    def note(self, verdict: Verdict) -> None:
        """One more world."""
        self.played += 1
        self.accused.update(verdict.accused)
        if verdict.convicts:
            self.convictions += 1
            self.first = verdict.seed if self.first is None else self.first

    @property
    def progress(self) -> str:
        """How far it is."""
        return f"{self.safeguard.name}: {self.convictions} of {self.played} worlds convict it"

    def __str__(self) -> str:
        among = self.safeguard.among
        checks = ", ".join(f"{name} {count}" for name, count in self.accused.most_common(4)) or "nothing"
        seed = "NEVER" if self.first is None else f"at {self.first}"
        density = f"{self.convictions} of {self.played}"
        return f"{self.safeguard.name:<50} {seed:<7} {density:<11} {among.__name__ if among else '-':<20} {checks}"


def main() -> int:
    """Try every safeguard, print what convicts it, and answer 1 where nothing does."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.ablation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many worlds may pass unnoticed (default: 1000)")
    parser.add_argument("--only", default="", help="the safeguards with this in their names")
    parser.add_argument("--find", action="store_true", help="one conviction each; write their seeds into seeds.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    options = parser.parse_args()
    wanted = 1 if options.find else CONVICTIONS
    found = dict(seeds.SEEDS)
    unnoticed = 0
    print(f"{'without':<50} {'first':<7} {'convicted':<11} {'circumstances':<20} by")
    with ProcessPoolExecutor(options.jobs) as processes:
        for number, safeguard in enumerate(SAFEGUARDS):
            if options.only not in safeguard.name:
                continue
            trial = _try(processes, number, options.jobs * 2, wanted=wanted, most=options.seeds)
            print(f"\r{trial}", flush=True)
            found.pop(safeguard.name, None)
            if trial.first is None:
                unnoticed += 1
            else:
                found[safeguard.name] = trial.first
            if options.find:
                _write(Path(seeds.__file__), found)
    return 1 if unnoticed else 0


def _try(processes: ProcessPoolExecutor, number: int, ahead: int, *, wanted: int, most: int) -> Trial:
    trial = Trial(SAFEGUARDS[number])
    chunks = _chunks(most)
    waiting = [processes.submit(_verdicts, number, chunk) for chunk in islice(chunks, ahead)]
    while waiting and trial.convictions < wanted:
        for verdict in waiting.pop(0).result():
            trial.note(verdict)
        if sys.stderr.isatty():
            print(f"\r\x1b[K{trial.progress}", end="", file=sys.stderr, flush=True)
        waiting += [processes.submit(_verdicts, number, chunk) for chunk in islice(chunks, 1)]
    for each in waiting:
        each.cancel()
    return trial


def _chunks(most: int) -> Iterator[range]:
    return (range(first, min(first + CHUNK, most)) for first in range(0, most, CHUNK))


def _verdicts(number: int, chunk: range) -> list[Verdict]:
    safeguard = SAFEGUARDS[number]
    accused = {seed: accusations(safeguard, seed) for seed in chunk}
    return [Verdict(seed, of_seed, convicts(safeguard, seed, of_seed)) for seed, of_seed in accused.items()]


def _write(path: Path, found: Mapping[str, int]) -> None:
    """Put the seeds into their module, in the order of safeguards; what is no safeguard any more is left out."""
    before, _, rest = path.read_text().partition("SEEDS: Mapping[str, int] = {")
    lines = [f'    "{each.name}": {found[each.name]},\n' for each in SAFEGUARDS if each.name in found]
    path.write_text(f"{before}SEEDS: Mapping[str, int] = {{\n{''.join(lines)}{rest[rest.index('}') :]}")


if __name__ == "__main__":
    sys.exit(main())
