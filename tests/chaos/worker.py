"""One worker process: a node host over the flows, as `fairlead worker` would run it.

As long as the database is down it tries again to start, as a supervisor would start it again. It ends with whoever
started it.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import logging
import os
import random
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost, caring
from fairlead.kernel import Kernel
from fairlead.ports.errors import AdapterError
from tests.chaos.flows import FLOWS
from tests.chaos.ledger import Ledger, LedgerSink
from tests.support.skewed_clock import set_clock_off

AGAIN_S = 0.2
CARE_S = 4.0
"""How often hosts look for runs that are kept no longer: their own pause is longer than most campaigns."""
SINK = "ledger"
INLINE_BYTES_MAX = 8 * 1024
"""Small, so that many payloads are in blobs."""

PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when its parent dies (prctl(2))."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker is."""

    name: str
    url: str
    ledger: str
    seed: int
    lease_s: float
    concurrency: int
    pool_size: int
    clock_offset_s: float
    sink_trouble: float
    """The share of calls of the sink that go wrong."""
    deadline_s: float = 4.0
    pool_wait_s: float = 3.0
    drain_s: float = 5.0


def worker_kernel(settings: WorkerSettings, ledger: Ledger) -> Kernel:
    """The kernel of a worker."""
    sink = LedgerSink(ledger, random.Random(settings.seed), trouble=settings.sink_trouble)
    ports = postgres_ports(
        settings.url,
        sink={SINK: sink},
        pool_size=settings.pool_size,
        pool_wait_s=settings.pool_wait_s,
        deadline_s=settings.deadline_s,
        lock_wait_s=2.0,
    )
    return Kernel(flows=FLOWS, ports=ports, inline_bytes_max=INLINE_BYTES_MAX)


async def serve(settings: WorkerSettings, ready: Connection) -> None:
    """Run a host until a signal comes; send something once it runs."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    ledger = Ledger(Path(settings.ledger))
    async with worker_kernel(settings, ledger) as kernel:
        host = NodeHost(
            kernel,
            worker=settings.name,
            resources={"ledger": ledger},
            concurrency=settings.concurrency,
            lease_duration=settings.lease_s,
            poll_interval=0.5,
            cancel_grace=0.5,
            drain_timeout=settings.drain_s,
        )
        while not (host.running or stopped.is_set()):
            try:
                await host.start()
            except AdapterError as error:
                logging.warning("cannot start: %s", error)
                await asyncio.sleep(AGAIN_S)
        ready.send(True)
        await stopped.wait()
        await host.stop(exiting=True)


def main(settings: WorkerSettings, log: str, ready: Connection) -> None:
    """Serve in this process, which logs into a file and ends with its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    gc.freeze()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, sys.stderr.fileno())
    os.dup2(descriptor, sys.stdout.fileno())
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    set_clock_off(settings.clock_offset_s)
    caring.CARE_INTERVAL_S = CARE_S  # type: ignore[attr-defined]  # imported there
    asyncio.run(serve(settings, ready))
