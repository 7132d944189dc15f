"""`make chaos MINUTES=15 SEED=…`: one campaign, its progress and its table. Exits with 1 where a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import random
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.campaign import Settings, run
from tests.chaos.report import table
from tests.support.skewed_clock import set_clock_off

CLIENT_CLOCK_OFFSET_S = 400.0
"""The client's clock is wrong, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, and carry out a campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long harm is done")
    parser.add_argument("--seed", type=int, default=None, help="of all dice; drawn where missing")
    parser.add_argument("--workers", type=int, default=6, help="processes that are kept alive")
    parser.add_argument("--live", type=int, default=60, help="runs that are kept going")
    parser.add_argument("--keep", action="store_true", help="keep ledger and logs of a campaign that went well, too")
    given = parser.parse_args(arguments)
    faulthandler.register(signal.SIGUSR1)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it warns of each connection that it cannot end in order
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="fairlead-chaos-ledger-"))
    set_clock_off(CLIENT_CLOCK_OFFSET_S)
    print(f"chaos for {given.minutes:g} minutes with seed {seed}; ledger and logs in {folder}", flush=True)
    settings = Settings(
        seed=seed,
        seconds=60 * given.minutes,
        folder=folder,
        workers=given.workers,
        live_runs=given.live,
        tell=lambda line: print(line, flush=True),
    )
    report = asyncio.run(run(settings))
    print(table(report), flush=True)
    if not (report.violations or given.keep):
        shutil.rmtree(folder)
    return 1 if report.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
