"""Workloads that drain: runs are started beforehand, and what is measured is how workers bring them to their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from attrs import evolve, frozen

from fairlead.kernel import Flow

from . import raw
from .checking import check_drained
from .figures import Figure
from .flows import fan_out, five_steps, large, one_step, stream
from .processes import Server, WorkerProcess, count_deadlocks, count_row_writes, start_apart
from .sizes import Sizes
from .watching import wait_until
from .worker import run

PENDING = b"SELECT FROM fairlead.runs WHERE pending LIMIT 1"
UNFINISHED = b"SELECT FROM fairlead.runs WHERE id = ANY (%s::uuid[]) AND status IN ('pending', 'running') LIMIT 1"
UNFINISHED_ASKED = 500
"""Runs that are asked for at a time, which takes about a millisecond where all of them have ended."""


@frozen
class Way:
    """How workers reach the database: where it is, and with what options of `postgres_ports`."""

    url: str
    options: Mapping[str, object]


@contextmanager
def undisturbed(url: str, sizes: Sizes) -> Generator[Way]:
    """Nothing but the workers."""
    yield Way(url, {"prepare": sizes.prepare})


def nothing(_url: str, _sizes: Sizes) -> None:
    """No history."""


@frozen(kw_only=True)
class Work:
    """What is drained, and under what circumstances."""

    workload: str
    flow: Flow[Any]
    runs: int
    units_per_run: int
    unit: str
    elements: int = 0
    """Of the flow's map."""
    workers: int = 1
    history: Callable[[str, Sizes], None] = nothing
    """Fills the tables before the runs are started."""
    circumstances: Callable[[str, Sizes], AbstractContextManager[Way]] = undisturbed
    """What goes on meanwhile, and how workers reach the database then."""


def drain_one_step(server: Server, sizes: Sizes) -> Figure:
    """W1: runs of one step."""
    return drain(server, sizes, one_steps("W1", sizes))


def drain_with_two(server: Server, sizes: Sizes) -> Figure:
    """W1b: the same with two workers."""
    return drain(server, sizes, evolve(one_steps("W1b", sizes), workers=2))


def drain_chains(server: Server, sizes: Sizes) -> Figure:
    """W2: runs of five steps in sequence."""
    work = Work(workload="W2", flow=five_steps, runs=sizes.chains, units_per_run=5, unit="steps")
    return drain(server, sizes, work)


def drain_fan_out(server: Server, sizes: Sizes) -> Figure:
    """W3: one run that maps over an array, then reduces."""
    return drain(server, sizes, _one_map("W3", fan_out, sizes.elements, others=1))


def drain_long_fan_out(server: Server, sizes: Sizes) -> Figure:
    """W3L: the same over an array that is far longer than the window of a map."""
    return drain(server, sizes, _one_map("W3L", fan_out, sizes.long_elements, others=1))


def drain_million(server: Server, sizes: Sizes) -> Figure:
    """W3M: an array so long that no process should have all of it: a step makes it, and another goes through it."""
    return drain(server, sizes, _one_map("W3M", stream, sizes.million_elements, others=2))


def drain_large(server: Server, sizes: Sizes) -> Figure:
    """One run that makes an array of 200 MB, maps over it and reduces it, all of it through blobs in the database."""
    return drain(server, sizes, _one_map("large", large, sizes.pages, others=2))


def drain_raw(server: Server, workload: str, unit: str, jobs: int, *, steps: int, batch: int) -> Figure:
    """The same by hand; only the drain is timed, as for the others."""
    with server.database(migrated=False) as url:
        before, cpu_s = server.read(), time.process_time()
        drained = raw.drain(url, jobs, steps=steps, batch=batch)
        costs = evolve(server.read().since(before), worker_cpu_s=time.process_time() - cpu_s)
        writes = count_row_writes(url, "raw")
    return Figure(
        workload=workload,
        subject=f"raw-{batch}",
        unit=unit,
        count=jobs * steps,
        took_s=drained.drain_s,
        costs=evolve(costs, row_writes=writes),
        extra={
            "starts_per_s": jobs / drained.insert_s,
            "rate_with_insert": jobs * steps / (drained.insert_s + drained.drain_s),
        },
    )


def one_steps(workload: str, sizes: Sizes) -> Work:
    """The runs of W1, which others drain under other circumstances."""
    return Work(workload=workload, flow=one_step, runs=sizes.runs, units_per_run=1, unit="runs")


def _one_map(workload: str, flow: Flow[Any], elements: int, *, others: int) -> Work:
    """One run that maps; beside the map it has `others` steps."""
    units = elements + others
    return Work(workload=workload, flow=flow, runs=1, units_per_run=units, unit="tasks", elements=elements)


def drain(server: Server, sizes: Sizes, work: Work) -> Figure:
    """Start runs, let workers finish them, and check what came of them."""
    with server.database() as url:
        work.history(url, sizes)
        before_starts, since = count_row_writes(url, "fairlead"), datetime.now(UTC)
        started = start_apart(url, work.flow, work.runs, elements=work.elements)
        before_drain = count_row_writes(url, "fairlead")
        with work.circumstances(url, sizes) as way, ExitStack() as stack:
            probe = stack.enter_context(psycopg.connect(url, autocommit=True))
            workers = [
                stack.enter_context(WorkerProcess(way.url, sizes.slots, way.options)) for _ in range(work.workers)
            ]
            before = server.read(workers)
            began = time.perf_counter()
            for worker in workers:
                worker.go()
            _until_drained(probe, started.run_ids)
            took_s = time.perf_counter() - began
            costs = server.read(workers).since(before)
            peak_mib = max(worker.peak_mib() for worker in workers)
        after_drain = count_row_writes(url, "fairlead")
        deadlocks = count_deadlocks(url)
        run(check_drained(url, work.flow, started.run_ids, elements=work.elements, since=since))
    count = work.runs * work.units_per_run
    return Figure(
        workload=work.workload,
        subject="fairlead",
        unit=work.unit,
        count=count,
        took_s=took_s,
        costs=evolve(costs, row_writes=after_drain - before_drain),
        extra={
            "starts_per_s": work.runs / started.took_s,
            "row_writes_in_all": (after_drain - before_starts) / count,
            "peak_mib": peak_mib,
            "starter_peak_mib": started.peak_mib,
            "deadlocks": deadlocks,
        },
    )


def _until_drained(probe: psycopg.Connection[Any], run_ids: Sequence[str]) -> None:
    """Return when every run is terminal. Both questions are answered by an index."""
    probe.execute("SET enable_seqscan = off")
    wait_until(lambda: probe.execute(PENDING).fetchone() is None, subject="fairlead")
    for first in range(0, len(run_ids), UNFINISHED_ASKED):
        asked = list(run_ids[first : first + UNFINISHED_ASKED])
        wait_until(partial(_ended, probe, asked), subject="fairlead")


def _ended(probe: psycopg.Connection[Any], run_ids: list[str]) -> bool:
    return probe.execute(UNFINISHED, (run_ids,)).fetchone() is None
