"""Procrastinate: a job queue, without flows or stored outputs. Chains are jobs that each defer the next.

Its settings, and why:

- `PsycopgConnector(pool_factory=…)` with a pool that does not check connections when they are borrowed, and whose
  connections are in autocommit: each statement is then one round trip instead of four. psycopg is the binary one.
- `concurrency` of 20 with as many connections, so that both cores are busy: a worker fetches one job at a time, and
  jobs overlap only in starting and ending.
- `listen_notify`, as it comes: an idle worker is woken, and polls every five seconds.
- `delete_jobs` stays "never": what is left in the table is what is checked.
- In bulk: `batch_defer_async` of a thousand.
- Nobody is told when a job ends, so a client asks for its status.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from procrastinate import App, PsycopgConnector
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from .conversation import STEPS, WAIT_S, Background, Order, Worker, batches, handled, main, new_runner, run

CONCURRENCY = 20
CONNECTIONS = 20


class _Jobs:
    """The application, its tasks, and how many runs have come to their end."""

    def __init__(self, url: str, connections: int) -> None:
        connector = PsycopgConnector(
            conninfo=url, min_size=connections, max_size=connections, configure=_autocommit, pool_factory=_pool
        )
        self.done = 0
        self.app = App(connector=connector)
        self.one_step = self.app.task(self._one_step, name="one_step")
        self.link = self.app.task(self._link, name="link")

    async def _one_step(self, order: Order) -> Order:
        output = handled(order)
        self.done += output["handled"] == 1
        return output

    async def _link(self, order: Order) -> Order:
        output = handled(order)
        if output["handled"] < STEPS:
            await self.link.defer_async(order=output)
        else:
            self.done += 1
        return output


class _Worker:
    def __init__(self, url: str) -> None:
        self._jobs = _Jobs(url, CONNECTIONS)
        self._background = Background(self._serve)
        self.go, self.stop = self._background.go, self._background.stop

    def done(self) -> int:
        return self._jobs.done

    async def _serve(self, background: Background) -> None:
        async with self._jobs.app.open_async() as app:
            background.ready()
            await background.going.wait()
            work = asyncio.create_task(app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False))
            await background.stopping.wait()
            work.cancel()
            await asyncio.wait([work])


class ProcrastinateRoles:
    """Its four roles."""

    def prepare(self, url: str) -> None:
        """Make the tables."""

        async def prepare() -> None:
            async with _Jobs(url, 1).app.open_async() as app:
                await app.schema_manager.apply_schema_async()

        run(prepare())

    @contextmanager
    def start(self, url: str, workload: str, orders: Sequence[Order], *, bulk: bool) -> Generator[Callable[[], None]]:
        """Jobs of one step, or the first ones of chains."""
        jobs = _Jobs(url, 1)
        task = {"runs": jobs.one_step, "chains": jobs.link}[workload]

        async def enqueue() -> None:
            if bulk:
                for batch in batches(orders):
                    await task.batch_defer_async(*({"order": order} for order in batch))
            else:
                for order in orders:
                    await task.defer_async(order=order)

        with new_runner() as runner:
            runner.run(jobs.app.connector.open_async())
            yield lambda: runner.run(enqueue())
            runner.run(jobs.app.connector.close_async())

    def worker(self, url: str, purpose: str) -> Worker:
        """The same for every purpose."""
        return _Worker(url)

    def round_trips(self, url: str, orders: Sequence[Order]) -> list[float]:
        """Ask for the job's status until it has ended."""

        async def measure() -> list[float]:
            found: list[float] = []
            jobs = _Jobs(url, 1)
            async with jobs.app.open_async() as app:
                for order in orders:
                    began = time.perf_counter()
                    job = await jobs.one_step.defer_async(order=order)
                    while (await app.job_manager.get_job_status_async(job)).value in ("todo", "doing"):  # noqa: ASYNC110
                        await asyncio.sleep(WAIT_S)
                    found.append(time.perf_counter() - began)
            return found

        return list(run(measure()))


def _pool(**arguments: Any) -> AsyncConnectionPool:
    return AsyncConnectionPool(**{**arguments, "check": None})


async def _autocommit(connection: AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


if __name__ == "__main__":
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    main(ProcrastinateRoles())
