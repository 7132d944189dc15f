"""A process that has loaded everything, and forks those that are to be killed: each begins within milliseconds.

It reads orders from its input, one JSON object a line, carries each out in a child, and answers with a line: the
child's exit status, negative where a signal ended it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from attrs import asdict, define, evolve, frozen

from fairlead.adapters.memory import ManualClock, memory_ports
from fairlead.adapters.memory.clock import START
from fairlead.adapters.postgres import PostgresBlobs, PostgresPersistence, PostgresScheduler
from fairlead.adapters.postgres.database import DatabaseSettings
from fairlead.adapters.postgres.source import conninfo_of
from fairlead.kernel import Kernel
from tests.crashes.scenario import INLINE_BYTES_MAX, Ledger, flows, live
from tests.support.stepping import Done, SteppedDatabase

LATER = timedelta(hours=1)
"""By how much the clock of a process is ahead of the one before it: every lease of that one is over."""


@frozen(kw_only=True)
class Order:
    """What a process is to do."""

    url: str
    """Of the database."""
    ledger: str
    """The path of the file that outlives it."""
    incarnation: int
    """How many processes came before it."""
    point: int | None = None
    """The number of the exchange or commit at which it kills itself, from 0; None for never."""
    after: bool = False
    """Whether it does so after it, when the answer has come, or before."""


@define
class Deadly:
    """Counts points, and kills the process at one of them."""

    order: Order
    ledger: Ledger
    passed: int = 0

    async def __call__(self, name: str, operation: Callable[[], Awaitable[Done]], /) -> Done:
        """Carry out what is at a point, or die."""
        place = self.passed
        self.passed += 1
        if place == self.order.point and not self.order.after:
            self._die(name)
        done = await operation()
        if place == self.order.point:
            self._die(name)
        return done

    def _die(self, name: str) -> None:
        self.ledger.tell("killed", self.order.incarnation, name)
        os.kill(os.getpid(), signal.SIGKILL)


async def carry_out(order: Order) -> None:
    """Be the process that is ordered."""
    ledger = Ledger(Path(order.ledger))
    deadly = Deadly(order, ledger)
    clock = ManualClock(START + order.incarnation * LATER)
    database = SteppedDatabase(DatabaseSettings(conninfo=conninfo_of(order.url)), deadly)
    ports = evolve(
        memory_ports(clock=clock, sink=ledger),
        persistence=PostgresPersistence(database),
        scheduler=PostgresScheduler(database),
        blobs=PostgresBlobs(database, clock),
    )
    kernel = Kernel(flows=flows(ledger), ports=ports, inline_bytes_max=INLINE_BYTES_MAX)
    await live(kernel, ledger, clock.advance)
    ledger.tell("passed", order.incarnation, deadly.passed)
    await kernel.aclose()


def _in_child(order: Order) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        asyncio.run(carry_out(order))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Carry out orders until there are none."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(_in_child(Order(**json.loads(line))), flush=True)


def written(order: Order) -> str:
    """An order as a line."""
    return json.dumps(asdict(order))


if __name__ == "__main__":
    main()
