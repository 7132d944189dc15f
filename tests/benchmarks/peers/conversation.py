"""How a peer's process is called, and how it answers. It runs in the peer's environment: standard library only.

`python -m tests.benchmarks.peers.PEER_roles --order JSON ROLE URL …`, in one of four roles:

- `prepare` makes the peer's tables, and ends.
- `start WORKLOAD COUNT` enqueues runs of a workload, one at a time or with `--bulk`, and says how long that took.
- `work PURPOSE` is a worker: it says when it is ready, begins when a line on its input says `go`, answers each line
  with what it has done so far, and stops at `stop` or at the end of its input.
- `round-trips COUNT` starts a run and waits until it has ended, one after the other, and says how long each took.

Whatever it says is one line of JSON. The order that all of them handle comes from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

STEPS = 5
"""Steps of a run of the workload `chains`."""

START_BATCH = 1_000
"""Runs that are enqueued with one call, or in one transaction, where it is done in bulk."""

WAIT_S = 0.001
"""How often a client looks for the end of a run, where the peer tells nobody."""

WORKLOADS = ("runs", "chains", "map")
"""Runs of one step; runs of five steps, each output feeding the next; one run that maps over orders and reduces."""

PURPOSES = ("drain", "latency", "default")
"""What a worker is tuned for. `default` is for idling: how often the peer polls is left as it comes."""

Order = dict[str, Any]


class Worker(Protocol):
    """A worker that is connected and has not begun."""

    def go(self) -> None:
        """Begin; returns at once."""
        ...

    def done(self) -> int:
        """Runs that have ended with the right output so far, if the peer stores no outputs; otherwise 0."""
        ...

    def stop(self) -> None:
        """Stop, and close every connection."""
        ...


class Roles(Protocol):
    """What the module of a peer provides."""

    def prepare(self, url: str) -> None:
        """Make the tables."""
        ...

    def start(
        self, url: str, workload: str, orders: Sequence[Order], *, bulk: bool
    ) -> AbstractContextManager[Callable[[], None]]:
        """Connected for the block. What it gives enqueues the orders; only that is timed."""
        ...

    def worker(self, url: str, purpose: str) -> Worker:
        """Connect."""
        ...

    def round_trips(self, url: str, orders: Sequence[Order]) -> list[float]:
        """Start a run and wait until it has ended, for one order after the other; the seconds of each."""
        ...


class Background:
    """A worker on an event loop in a thread of its own, while the main thread reads standard input.

    Args:
        serve: the worker. It is to call `ready` when it is connected, then wait for `going`, and end after `stopping`.
    """

    def __init__(self, serve: Callable[[Background], Coroutine[Any, Any, None]]) -> None:
        self._serve = serve
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: run(self._run()))
        self._thread.start()
        self._ready.wait()
        if not self._thread.is_alive():
            raise RuntimeError("the worker could not connect")

    def ready(self) -> None:
        """It is connected."""
        self._ready.set()

    def go(self) -> None:
        """Let it begin."""
        self._loop.call_soon_threadsafe(self.going.set)

    def stop(self) -> None:
        """Let it end, and wait until it has."""
        self._loop.call_soon_threadsafe(self.stopping.set)
        self.go()
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.going, self.stopping = asyncio.Event(), asyncio.Event()
        try:
            await self._serve(self)
        finally:
            self._ready.set()


def new_runner() -> asyncio.Runner:
    """An event loop, uvloop's where that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a new event loop."""
    with new_runner() as runner:
        return runner.run(coroutine)


def handled(order: Order) -> Order:
    """The trivial handler of every workload."""
    return {**order, "handled": order["handled"] + 1}


def batches(orders: Sequence[Order]) -> Iterator[Sequence[Order]]:
    """The orders as they are enqueued in bulk."""
    for first in range(0, len(orders), START_BATCH):
        yield orders[first : first + START_BATCH]


def parser() -> argparse.ArgumentParser:
    """The command line of every peer."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--order", type=json.loads, required=True, metavar="JSON")
    roles = found.add_subparsers(dest="role", required=True)
    prepare, start, work, round_trips = map(roles.add_parser, ("prepare", "start", "work", "round-trips"))
    for role in (prepare, start, work, round_trips):
        role.add_argument("url")
    start.add_argument("workload", choices=WORKLOADS)
    start.add_argument("count", type=int)
    start.add_argument("--bulk", action="store_true")
    work.add_argument("purpose", choices=PURPOSES)
    round_trips.add_argument("count", type=int)
    return found


def main(peer: Roles, arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    options = parser().parse_args(arguments)
    if options.role == "prepare":
        peer.prepare(options.url)
    elif options.role == "start":
        orders = [options.order] * options.count
        with peer.start(options.url, options.workload, orders, bulk=options.bulk) as enqueue:
            _say(_timed(enqueue))
    elif options.role == "work":
        _work(peer.worker(options.url, options.purpose))
    else:
        _say({"seconds": peer.round_trips(options.url, [options.order] * options.count)})


def _timed(enqueue: Callable[[], None]) -> dict[str, float]:
    began, cpu_s = time.perf_counter(), time.process_time()
    enqueue()
    return {"took_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu_s}


def _work(worker: Worker) -> None:
    _say({"ready": True})
    while (line := sys.stdin.readline().strip()) not in ("", "stop"):
        if line == "go":
            worker.go()
        _say({"done": worker.done()})
    worker.stop()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
