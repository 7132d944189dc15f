"""The command line of the campaign."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice
from typing import TypeVar

from .corpus import CORPUS
from .seed import Result, play_seed

T = TypeVar("T")

CHUNK = 20
"""Seeds that a process plays at a time."""

TOLD_EVERY_S = 5.0

PROBLEMS_SHOWN_MAX = 10
"""Of one seed; `--seed` shows all of them."""


def main() -> int:
    """Play seeds, tell how it goes, and answer 1 where one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many seeds to play (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--seed", type=int, help="play this one alone, and show all that happens")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    options = parser.parse_args()
    if options.seed is not None:
        return _show(options.seed)
    return _play(range(options.first, options.first + options.seeds), options.jobs)


def _show(seed: int) -> int:
    result = play_seed(seed)
    for entry in result.timeline:
        print(entry)
    print(f"seed {seed}: {result.virtual_s:.0f} virtual seconds, {result.states} states, trace {result.digest}")
    for problem in result.problems:
        print(f"VIOLATION: {problem}")
    return 1 if result.problems else 0


def _play(seeds: range, jobs: int) -> int:
    began_s = told_s = time.monotonic()
    totals, struck, beside = Counter[str](), Counter[str](), Counter[str]()
    failed: list[Result] = []
    with ProcessPoolExecutor(jobs) as processes:
        todo = chain(CORPUS, seeds)
        for results in _as_they_come(processes, _chunks(todo, CHUNK), jobs * 2):
            for result in results:
                totals.update(seeds=1, states=result.states, executions=result.executions)
                totals["virtual_s"] += round(result.virtual_s)
                struck.update(result.struck)
                beside.update(result.beside.keys())
                if result.problems:
                    failed.append(result)
                    print(_told(result), flush=True)
            if time.monotonic() - told_s > TOLD_EVERY_S:
                told_s = time.monotonic()
                print(_line(totals, len(failed), told_s - began_s), flush=True)
    print(_line(totals, len(failed), time.monotonic() - began_s))
    print("worlds with: " + ", ".join(f"{what} {count}" for what, count in sorted(beside.items())))
    print("faults: " + ", ".join(f"{kind} {count}" for kind, count in sorted(struck.items())))
    return 1 if failed else 0


def _told(result: Result) -> str:
    shown = "\n  ".join(result.problems[:PROBLEMS_SHOWN_MAX])
    more = len(result.problems) - PROBLEMS_SHOWN_MAX
    return (
        f"seed {result.seed}: {shown}\n" + (f"  … and {more} more\n" if more > 0 else "") + f"  again: {_again(result)}"
    )


def _again(result: Result) -> str:
    return f"python -m tests.simulation.campaign --seed {result.seed}    # trace {result.digest}"


def _line(totals: Counter[str], failed: int, seconds: float) -> str:
    return (
        f"{totals['seeds']} seeds, {totals['seeds'] / seconds:.1f} a second, "
        f"{totals['virtual_s'] / 3600:.0f} simulated hours, {totals['executions']} handler calls, "
        f"{totals['states']} states checked, {failed} failed"
    )


def _chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(values)
    while chunk := list(islice(source, size)):
        yield chunk


def _as_they_come(processes: ProcessPoolExecutor, chunks: Iterator[list[int]], ahead: int) -> Iterator[list[Result]]:
    """Results of chunks in their order, while the next ones are played."""
    waiting = [processes.submit(_play_seeds, chunk) for chunk in islice(chunks, ahead)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [processes.submit(_play_seeds, chunk) for chunk in islice(chunks, 1)]


def _play_seeds(seeds: list[int]) -> list[Result]:
    return [play_seed(seed).brief() for seed in seeds]


if __name__ == "__main__":
    sys.exit(main())
