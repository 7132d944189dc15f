"""The command line of the marks: which are reached, by how many worlds and struck scenarios, and from which seed on."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from .playing import play_chunk
from .proofs import OFTEN, PROOFS, SELDOM
from .proving import play_proofs
from .register import Mark, all_marks

CHUNK = 20
"""Seeds that a process plays at a time."""

SELDOM_SEEDS = 1_000
"""From so many seeds on, what worlds reach seldom has to be reached as well."""


def main() -> int:
    """Play, print all marks, those first that are seldom reached, and answer 1 where one is out of reach."""
    parser = argparse.ArgumentParser(prog="python -m tests.marks", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="worlds and struck scenarios (default: 500)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    options = parser.parse_args()
    worlds, strikes, first = _play(options.seeds, options.jobs)
    proven = play_proofs()
    print(f"of {options.seeds} seeds\n worlds  strikes   first  mark")
    for mark in sorted(all_marks(), key=lambda mark: (worlds[mark.what] + strikes[mark.what], mark)):
        seed = first.get(mark.what, "")
        print(f"{worlds[mark.what]:7} {strikes[mark.what]:8} {seed:>7}  {mark}{_by(mark, proven.reached)}")
    expected = OFTEN if options.seeds < SELDOM_SEEDS else OFTEN | SELDOM
    lacking = [mark for mark in all_marks() if mark.what in expected - first.keys()]
    lacking += [mark for mark in all_marks() if mark.what in PROOFS and mark.what not in proven.reached]
    for mark in lacking:
        print(f"OUT OF REACH: {mark}")
    if proven.failed is not None:
        print(f"A PROOF HAS FAILED:\n{proven.failed}")
    return 1 if lacking or proven.failed is not None else 0


def _by(mark: Mark, proven: frozenset[str]) -> str:
    return f"\n{'':26}by {PROOFS[mark.what]}" if mark.what in proven else ""


def _play(seeds: int, jobs: int) -> tuple[Counter[str], Counter[str], dict[str, int]]:
    worlds, strikes, first = Counter[str](), Counter[str](), dict[str, int]()
    with ProcessPoolExecutor(jobs) as processes:
        chunks = [range(begin, min(begin + CHUNK, seeds)) for begin in range(0, seeds, CHUNK)]
        for played in processes.map(play_chunk, chunks):
            for each in played:
                worlds.update(each.by_world.keys())
                strikes.update(each.by_strikes.keys())
                for what in (*each.by_world, *each.by_strikes):
                    first.setdefault(what, each.seed)
    return worlds, strikes, first


if __name__ == "__main__":
    sys.exit(main())
