"""Absurd: workflows as programs, nearly all of it in stored procedures.

Its settings, and why:

- The synchronous client: its worker executes tasks on one connection either way, and needs no event loop.
- Four clients in a worker process, each a thread with a connection of its own, so that PostgreSQL and Python work at
  the same time; `concurrency` alone would share one connection.
- `batch_size` of 50: a claim costs many times what one task in it costs.
- `poll_interval` of 5 ms for latency, since it does not listen; 0.25 s is the default.
- In bulk: a transaction around a thousand spawns; it has no call for many.
- A map spawns a task per element into a second queue, as its documentation demands of a task that waits for others,
  and gathers the results in one step, which records one checkpoint instead of one per element.
- A client asks for a result every millisecond; the SDK's `await_task_result` would do it after 50 ms, then ever later.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from absurd_sdk import Absurd
from absurdctl import BUNDLED_SCHEMA_SQL

from .conversation import STEPS, WAIT_S, Order, Worker, batches, handled, main

CLIENTS = 4
BATCH_SIZE = 50
POLL_INTERVALS_S = {"drain": 0.01, "latency": 0.005, "default": 0.25}
GATHER_S = 0.01
QUEUE, ELEMENTS = "default", "elements"
TASKS = {"runs": "one_step", "chains": "chain", "map": "fan_out"}


class _Worker:
    def __init__(self, url: str, purpose: str) -> None:
        self._poll_interval_s = POLL_INTERVALS_S[purpose]
        self._parent = Absurd(url)
        self._clients = [self._client(url) for _ in range(CLIENTS if purpose == "drain" else 1)]
        if purpose == "drain":
            self._clients += [_element_client(url) for _ in range(CLIENTS)]
        self._threads = [threading.Thread(target=self._serve, args=[client]) for client in self._clients]

    def go(self) -> None:
        for thread in self._threads:
            thread.start()

    def done(self) -> int:
        return 0

    def stop(self) -> None:
        for client in self._clients:
            client.stop_worker()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for client in (*self._clients, self._parent):
            client.close()

    def _client(self, url: str) -> Absurd:
        client = Absurd(url)
        client.register_task("one_step")(_one_step)
        client.register_task("chain")(_chain)
        client.register_task("fan_out")(self._fan_out)
        return client

    def _serve(self, client: Absurd) -> None:
        client.start_worker(batch_size=BATCH_SIZE, poll_interval=self._poll_interval_s)

    def _fan_out(self, orders: list[Order], context: Any) -> int:
        spawned: list[str] = context.step("spawn", lambda: [_spawn(self._parent, "each", order) for order in orders])
        total: int = context.step("gather", lambda: sum(self._result(task)["handled"] for task in spawned))
        return total

    def _result(self, task: str) -> Order:
        return _result(self._parent, task, ELEMENTS, GATHER_S)


class AbsurdRoles:
    """Its four roles."""

    def prepare(self, url: str) -> None:
        """Make the tables, as `absurdctl init` does by means of psql."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(BUNDLED_SCHEMA_SQL)
            client = Absurd(connection)
            client.create_queue(QUEUE)
            client.create_queue(ELEMENTS)

    @contextmanager
    def start(self, url: str, workload: str, orders: Sequence[Order], *, bulk: bool) -> Generator[Callable[[], None]]:
        """Tasks, or one task that maps."""
        inputs: Sequence[Any] = [list(orders)] if workload == "map" else orders

        with psycopg.connect(url, autocommit=True) as connection:
            client = Absurd(connection)

            def enqueue() -> None:
                for batch in batches(inputs):
                    with connection.transaction() if bulk else nullcontext():
                        for order in batch:
                            client.spawn(TASKS[workload], order, queue=QUEUE)

            yield enqueue

    def worker(self, url: str, purpose: str) -> Worker:
        """With one client, unless it is to drain."""
        return _Worker(url, purpose)

    def round_trips(self, url: str, orders: Sequence[Order]) -> list[float]:
        """Ask for the result until it is there."""
        found: list[float] = []
        client = Absurd(url)
        for order in orders:
            began = time.perf_counter()
            _result(client, str(client.spawn("one_step", order, queue=QUEUE)["task_id"]), QUEUE, WAIT_S)
            found.append(time.perf_counter() - began)
        client.close()
        return found


def _one_step(order: Order, _context: Any) -> Order:
    return handled(order)


def _chain(order: Order, context: Any) -> Order:
    for number in range(STEPS):
        order = context.step(f"step-{number}", lambda current=order: handled(current))
    return order


def _element_client(url: str) -> Absurd:
    client = Absurd(url, queue_name=ELEMENTS)
    client.register_task("each")(_one_step)
    return client


def _spawn(client: Absurd, name: str, order: Order) -> str:
    return str(client.spawn(name, order, queue=ELEMENTS)["task_id"])


def _result(client: Absurd, task: str, queue: str, poll_s: float) -> Order:
    while (snapshot := client.fetch_task_result(task, queue)) is None or snapshot.state != "completed":
        time.sleep(poll_s)
    result: Order = snapshot.result
    return result


if __name__ == "__main__":
    main(AbsurdRoles())
