"""Leave out one condition of the SQL at a time, and tell which test notices: those that none does come last."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from random import Random

from .judging import Fate, Verdict, check_judges, judge
from .reading import conditions


def main() -> int:
    """Play them; 1 where one was left out and nothing noticed."""
    options = _options()
    found = list(conditions(options.only))
    if options.sample < len(found):
        found = sorted(Random(options.seed).sample(found, options.sample))
    print(f"{len(found)} conditions of {', '.join(options.only)}; first the tests without any change …", flush=True)
    check_judges()
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(options.jobs) as jobs:
        for done in as_completed([jobs.submit(judge, condition) for condition in found]):
            verdict = done.result()
            verdicts.append(verdict)
            place, what = verdict.condition.place, verdict.by or verdict.condition.text
            print(f"{len(verdicts)}/{len(found)} {verdict.fate} {place}: {what}", flush=True)
    return _report(verdicts)


def _report(verdicts: Sequence[Verdict]) -> int:
    left = sorted(each.condition for each in verdicts if each.fate is Fate.UNNOTICED)
    print(
        f"\n{len(verdicts) - len(left)} of {len(verdicts)} were noticed; these were not:" if left else "\nall noticed"
    )
    for condition in left:
        print(f"{condition.place}  {condition.text}")
    return 1 if left else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.conditions", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=["apply/*"],
        metavar="GLOB",
        help="the files, from adapters/postgres/sql, without their ending (default: 'apply/*'; '*' for all, for hours)",
    )
    parser.add_argument("--sample", type=int, default=1_000, help="how many are drawn (default: 1000, which is all)")
    parser.add_argument("--seed", type=int, default=0, help="by which they are drawn (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
