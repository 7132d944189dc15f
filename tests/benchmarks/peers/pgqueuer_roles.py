"""PgQueuer: a job queue, without flows or stored outputs. Chains are jobs that each enqueue the next.

Its settings, and why:

- asyncpg and uvloop, and a single connection for the worker that listens, as its guide to performance advises.
- `batch_size` of 500 to drain: jobs are claimed and logged in batches of that size, which is where it is fastest. A
  crash repeats a whole batch.
- `batch_size` of 1 for latency: ends are written when a batch is full or after 100 ms, so each is written at once.
- Chains enqueue over connections of their own, not over a pool: a pool resets a connection each time it is returned,
  which is one more round trip per job.
- `optimize_autovacuum`, as the guide advises after installation. Durability "durable", which is the default and like
  the other systems'; its faster levels lose jobs in a crash of the server.
- In bulk: `enqueue` of lists of a thousand.
- A `CompletionWatcher` without debouncing tells the client of the end.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries
from pgqueuer.core.completion import CompletionWatcher

from .conversation import STEPS, Background, Order, Worker, batches, handled, main, new_runner, run

BATCH_SIZES = {"drain": 500, "latency": 1, "default": 10}
PRODUCERS = 4


class _Worker:
    def __init__(self, url: str, purpose: str) -> None:
        self._url = url
        self._batch_size = BATCH_SIZES[purpose]
        self._done = 0
        self._background = Background(self._serve)
        self.go, self.stop = self._background.go, self._background.stop

    def done(self) -> int:
        return self._done

    async def _serve(self, background: Background) -> None:
        async with AsyncExitStack() as stack:
            queuer = PgQueuer(await _connect(self._url, stack))
            self._producers = itertools.cycle([Queries(await _connect(self._url, stack)) for _ in range(PRODUCERS)])
            queuer.entrypoint("one_step")(self._one_step)
            queuer.entrypoint("link")(self._link)
            background.ready()
            await background.going.wait()
            work = asyncio.create_task(queuer.run(batch_size=self._batch_size))
            await background.stopping.wait()
            queuer.shutdown.set()
            await work

    async def _one_step(self, job: Job) -> None:
        output = handled(json.loads(job.payload or b""))
        self._done += output["handled"] == 1

    async def _link(self, job: Job) -> None:
        output = handled(json.loads(job.payload or b""))
        if output["handled"] < STEPS:
            await next(self._producers).enqueue("link", json.dumps(output).encode())
        else:
            self._done += 1


class PgQueuerRoles:
    """Its four roles."""

    def prepare(self, url: str) -> None:
        """Make the tables."""

        async def prepare() -> None:
            async with AsyncExitStack() as stack:
                queries = Queries(await _connect(url, stack))
                await queries.install()
                await queries.optimize_autovacuum()

        run(prepare())

    @contextmanager
    def start(self, url: str, workload: str, orders: Sequence[Order], *, bulk: bool) -> Generator[Callable[[], None]]:
        """Jobs of one step, or the first ones of chains."""
        name = {"runs": "one_step", "chains": "link"}[workload]

        async def enqueue(queries: Queries) -> None:
            if bulk:
                for batch in batches(orders):
                    payloads: list[bytes | None] = [json.dumps(order).encode() for order in batch]
                    await queries.enqueue([name] * len(batch), payloads, [0] * len(batch))
            else:
                for order in orders:
                    await queries.enqueue(name, json.dumps(order).encode())

        with new_runner() as runner:
            connection = runner.run(asyncpg.connect(url))
            yield lambda: runner.run(enqueue(Queries(AsyncpgDriver(connection))))
            runner.run(connection.close())

    def worker(self, url: str, purpose: str) -> Worker:
        """In batches that suit the purpose."""
        return _Worker(url, purpose)

    def round_trips(self, url: str, orders: Sequence[Order]) -> list[float]:
        """Be told when the job has ended."""

        async def measure() -> list[float]:
            found: list[float] = []
            async with AsyncExitStack() as stack:
                queries = Queries(await _connect(url, stack))
                listening = await _connect(url, stack)
                watcher = await stack.enter_async_context(
                    CompletionWatcher(listening, queries=queries, debounce=timedelta(0))
                )
                for order in orders:
                    began = time.perf_counter()
                    (job,) = await queries.enqueue("one_step", json.dumps(order).encode())
                    await watcher.wait_for(job)
                    found.append(time.perf_counter() - began)
            return found

        return list(run(measure()))


async def _connect(url: str, stack: AsyncExitStack) -> Any:
    connection = await asyncpg.connect(url)
    stack.push_async_callback(connection.close)
    return AsyncpgDriver(connection)


if __name__ == "__main__":
    logging.getLogger("pgqueuer").setLevel(logging.ERROR)
    main(PgQueuerRoles())
