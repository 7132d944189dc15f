"""DBOS: workflows as programs.

Its settings, and why:

- Workflows and steps are ordinary functions: asynchronous ones go through threads at each access to the database.
- `pool_pre_ping` off, through `db_engine_kwargs`: by default each borrowed connection is tested first, which is one
  more round trip each time.
- `max_executor_threads` of 16 with a pool of 20: more threads wait for one another in the interpreter.
- A queue with a `worker_concurrency` of 100 and no global limit, so that claims skip what others have locked, and
  threads find workflows claimed beforehand. It is polled every 50 ms to drain, every 5 ms for latency; 1 s is the
  default.
- A serializer that writes JSON, like the other systems; the default pickles.
- In bulk: `enqueue_in_transaction`, a thousand in a transaction; it has no call for many.
- A map enqueues a workflow per element and waits for the handles, as its tutorial on queues does.
- A client asks for a result every millisecond, by `get_result`; 1 s is the default.

A worker that is launched polls at once, so until it may go its queue has a `worker_concurrency` of 0.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig, Serializer

from .conversation import STEPS, WAIT_S, Order, Worker, batches, handled, main

QUEUE = "orders"
APPLICATION, VERSION = "benchmark", "1"
CLAIMED = 100
THREADS = 16
CONNECTIONS = 20
POLLING_S = {"drain": 0.05, "latency": 0.005, "default": 1.0}
GATHER_S = 0.01
LISTENING_S = 2.0
"""A queue that is registered is polled a second later at the latest."""

WORKFLOWS = {"runs": "one_step", "chains": "chain", "map": "fan_out"}


class Json(Serializer):
    """Values as JSON."""

    def serialize(self, data: Any) -> str:
        """To JSON."""
        return json.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        """From JSON."""
        return json.loads(serialized_data)

    def name(self) -> str:
        """Its name, which is stored beside each value."""
        return "json"


@DBOS.workflow()
def one_step(order: Order) -> Order:
    """The only step is the workflow."""
    return handled(order)


@DBOS.step()
def step(order: Order) -> Order:
    """One of a chain."""
    return handled(order)


@DBOS.workflow()
def chain(order: Order) -> Order:
    """Each step takes what the one before returned."""
    for _ in range(STEPS):
        order = step(order)
    return order


@DBOS.workflow()
def fan_out(orders: list[Order]) -> int:
    """One workflow per order."""
    handles = [DBOS.enqueue_workflow(QUEUE, one_step, order) for order in orders]
    return sum(handle.get_result(polling_interval_sec=GATHER_S)["handled"] for handle in handles)


class _Worker:
    def __init__(self, url: str, purpose: str) -> None:
        _launch(url)
        self._queue = DBOS.register_queue(
            QUEUE, worker_concurrency=0, polling_interval_sec=POLLING_S[purpose], on_conflict="always_update"
        )
        time.sleep(LISTENING_S)

    def go(self) -> None:
        self._queue.set_worker_concurrency(CLAIMED)

    def done(self) -> int:
        return 0

    def stop(self) -> None:
        DBOS.destroy()


class DbosRoles:
    """Its four roles."""

    def prepare(self, url: str) -> None:
        """Make the tables, and the queue."""
        _launch(url)
        DBOS.register_queue(QUEUE, worker_concurrency=0)
        DBOS.destroy()

    @contextmanager
    def start(self, url: str, workload: str, orders: Sequence[Order], *, bulk: bool) -> Generator[Callable[[], None]]:
        """Workflows, or one workflow that maps."""
        client = DBOSClient(system_database_url=url, serializer=Json())
        engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
        inputs: Sequence[Any] = [list(orders)] if workload == "map" else orders
        options = _options(workload)

        def enqueue() -> None:
            if bulk:
                for batch in batches(inputs):
                    with engine.begin() as connection:
                        for order in batch:
                            client.enqueue_in_transaction(connection, options, order)
            else:
                for order in inputs:
                    client.enqueue(options, order)

        yield enqueue
        engine.dispose()
        client.destroy()

    def worker(self, url: str, purpose: str) -> Worker:
        """Polling as suits the purpose."""
        return _Worker(url, purpose)

    def round_trips(self, url: str, orders: Sequence[Order]) -> list[float]:
        """Ask for the result until it is there."""
        found: list[float] = []
        client = DBOSClient(system_database_url=url, serializer=Json())
        for order in orders:
            began = time.perf_counter()
            client.enqueue(_options("runs"), order).get_result(polling_interval_sec=WAIT_S)
            found.append(time.perf_counter() - began)
        client.destroy()
        return found


def _options(workload: str) -> Any:
    return {
        "queue_name": QUEUE,
        "workflow_name": WORKFLOWS[workload],
        "app_version": VERSION,
        "application_name": APPLICATION,
    }


def _launch(url: str) -> None:
    config: DBOSConfig = {
        "name": APPLICATION,
        "application_version": VERSION,
        "executor_id": str(os.getpid()),
        "system_database_url": url,
        "sys_db_pool_size": CONNECTIONS,
        "db_engine_kwargs": {"pool_pre_ping": False},
        "max_executor_threads": THREADS,
        "serializer": Json(),
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()


if __name__ == "__main__":
    main(DbosRoles())
