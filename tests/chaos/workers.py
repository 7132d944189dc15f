"""The worker processes of a campaign: started, killed, stopped, continued, and ended in the end.

They are forked from a process that has imported everything, so that the machine is busy with work and not with imports.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from attrs import define, field, frozen

from tests.chaos.worker import WorkerSettings, main

POOL_SIZES = (1, 2, 3, 10)
CONCURRENCIES = (3, 5, 8)
CLOCK_OFFSETS_S = (0.0, 0.0, 180.0, -240.0, 3600.0)
"""Minutes, and once an hour, in both directions."""

SINK_TROUBLE = 0.05
LOOK_S = 0.05


@frozen(kw_only=True)
class Stopped:
    """A worker that was told to stop and did."""

    pid: int
    said: str
    """What it has logged."""


@define(eq=False)
class Worker:
    """One process."""

    number: int
    settings: WorkerSettings
    process: ForkServerProcess
    log: Path
    _ready: Connection
    stopped: bool = False
    """By SIGSTOP."""
    was_paused: bool = False
    """Whether it ever was."""
    ending: bool = False
    """Whether it was told to stop."""
    _is_ready: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether its host has begun to run."""
        self._is_ready = self._is_ready or self._ready.poll()
        return self._is_ready

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def forget(self) -> None:
        """Wait for its end, and keep nothing of it."""
        self.process.join()
        self.process.close()
        self._ready.close()


@define(eq=False)
class Workers:
    """All worker processes.

    Args:
        urls: of the database; workers take turns with them, so that some go through a proxy.
        folder: for the ledger and the logs.
        lease_s: of their hosts.
        seed: of what differs between them.
    """

    urls: Sequence[str]
    folder: Path
    lease_s: float
    seed: int
    running: list[Worker] = field(factory=list[Worker])
    started: int = 0
    deaths: list[str] = field(factory=list[str])
    """Workers that ended by themselves, which none may, or did not when they were told to."""
    ended: dict[str, Stopped] = field(factory=dict[str, Stopped])
    """By name, those that were told to stop, and never paused before."""
    slowest_stop_s: float = 0.0
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _context: ForkServerContext = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.chaos.campaign"])

    @property
    def ledger(self) -> Path:
        """Where they note what they do."""
        return self.folder / "ledger"

    def start(self) -> Worker:
        """Start one more."""
        number = next(self._numbers)
        drawn = random.Random(f"{self.seed}/{number}")
        settings = WorkerSettings(
            name=f"worker-{number}",
            url=self.urls[number % len(self.urls)],
            ledger=str(self.ledger),
            seed=drawn.randrange(2**32),
            lease_s=self.lease_s,
            concurrency=drawn.choice(CONCURRENCIES),
            pool_size=drawn.choice(POOL_SIZES),
            clock_offset_s=drawn.choice(CLOCK_OFFSETS_S),
            sink_trouble=SINK_TROUBLE,
        )
        log = self.folder / f"worker-{number}.log"
        here, there = self._context.Pipe(duplex=False)
        process = self._context.Process(target=main, args=(settings, str(log), there), daemon=True)
        process.start()
        there.close()
        worker = Worker(number, settings, process, log, here)
        self.running.append(worker)
        self.started += 1
        return worker

    def able(self) -> list[Worker]:
        """Those that run a host, are not stopped, and go on."""
        return [worker for worker in self.lasting() if not worker.stopped and worker.is_ready]

    def lasting(self) -> list[Worker]:
        """Those that were not told to stop."""
        return [worker for worker in self.running if not worker.ending]

    def kill(self, worker: Worker) -> None:
        """End one by SIGKILL."""
        worker.process.kill()
        self._forget(worker)

    def pause(self, worker: Worker) -> None:
        """SIGSTOP."""
        worker.stopped = worker.was_paused = True
        worker.signal(signal.SIGSTOP)

    def resume(self, worker: Worker) -> None:
        """SIGCONT."""
        worker.signal(signal.SIGCONT)
        worker.stopped = False

    def notice_deaths(self) -> None:
        """See who has ended by itself: nobody may, whatever happens to the database."""
        for worker in self.lasting():
            code = worker.process.exitcode
            if code is not None:
                self.deaths.append(f"worker {worker.number} ended by itself with {code}; see {worker.log}")
                self._forget(worker)

    async def stop(self, worker: Worker, timeout_s: float) -> None:
        """SIGTERM to one, as a deploy does; it has to end by itself, in order and in time."""
        worker.ending = True
        pid = worker.process.pid
        assert pid is not None
        worker.process.terminate()
        began = time.monotonic()
        while worker.process.exitcode is None and time.monotonic() - began < timeout_s:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        self.slowest_stop_s = max(self.slowest_stop_s, time.monotonic() - began)
        if worker.process.exitcode != 0:
            problem = f"worker {worker.number} did not end in order: {worker.process.exitcode}; see {worker.log}"
            self.deaths.append(problem)
            worker.process.kill()
        elif not worker.was_paused:
            said = worker.log.read_text(errors="replace")
            self.ended[worker.settings.name] = Stopped(pid=pid, said=said)
        self._forget(worker)

    async def end(self, timeout_s: float) -> None:
        """Have all of them stop."""
        await asyncio.gather(*(self.stop(worker, timeout_s) for worker in list(self.running)))

    def kill_all(self) -> None:
        """Leave no process behind."""
        for worker in list(self.running):
            self.kill(worker)

    def logs(self) -> list[Path]:
        """What they logged, each in a file of its own."""
        return sorted(self.folder.glob("worker-*.log"))

    def _forget(self, worker: Worker) -> None:
        self.running.remove(worker)
        worker.forget()
