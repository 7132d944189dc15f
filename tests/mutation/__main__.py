"""Change one thing in the kernel at a time, and count how often its tests notice: scores and survivors."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from .mutants import Mutant, Outcome, keep, read_mutants, read_outcomes
from .report import Report, survivors_of
from .tree import LOG, ROOT, generate, plant, play

BUILD = ROOT / "build"

LONGEST = 40
"""So many survivors are printed; all of them are in the file."""


def main() -> int:
    """Make the tree, draw, play and report; 1 where nothing could be played."""
    options = _options()
    tree: Path = options.build / "mutation"
    print(f"writing mutants of {', '.join(options.only)} into {tree} …", flush=True)
    plant(tree, options.only)
    generate(tree, options.jobs)
    written = list(read_mutants(tree))
    mutants = [each for each in written if not each.is_message]
    names = _drawn(mutants, options)
    print(
        f"{len(written):,} mutants; {len(names):,} of {len(mutants):,} that change more than words are played",
        flush=True,
    )
    keep(tree, frozenset(names))
    well = play(tree, options.jobs, lambda: _tell(tree))
    report = Report(mutants, read_outcomes(tree), messages=len(written) - len(mutants))
    text, data = report.write(options.build)
    for each in report.survivors()[:LONGEST]:
        print(f"\n{each.path} {each.function}: {report.outcomes[each.name]}, {each.name}\n{each.difference}")
    print(f"\n{report.table()}\n\nall survivors: {text}\nfor programs: {data}")
    if not well:
        print(f"mutmut did not come to its end, see {tree / LOG}")
    return 0 if well else 1


def _tell(tree: Path) -> None:
    with suppress(ValueError):  # a list is just being written
        outcomes = Counter(read_outcomes(tree).values())
        played = outcomes.total() - outcomes[Outcome.UNPLAYED]
        print(f"{played:,} of {outcomes.total():,} played, {outcomes[Outcome.KILLED]:,} killed", flush=True)


def _drawn(mutants: Sequence[Mutant], options: argparse.Namespace) -> list[str]:
    names = sorted(each.name for each in mutants)
    if options.again:
        left = {*survivors_of(options.build / "mutation.json")}
        return [name for name in names if name in left]
    if options.all or options.sample >= len(names):
        return names
    return Random(options.seed).sample(names, options.sample)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=1_000, help="how many mutants are drawn (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="by which they are drawn (default: 0)")
    parser.add_argument("--all", action="store_true", help="play all, which takes hours")
    parser.add_argument("--again", action="store_true", help="play those that survived the last time")
    parser.add_argument(
        "--only",
        nargs="+",
        default=["kernel/*"],
        metavar="GLOB",
        help="the files to change, from the root (default: 'kernel/*', with what is below)",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--build", type=Path, default=BUILD, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
