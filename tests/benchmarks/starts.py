"""W5: how fast runs are started, by one client: one at a time, and in bulk."""

from __future__ import annotations

import time

from attrs import evolve

from . import raw
from .checking import check_started
from .costs import Costs
from .figures import Figure
from .flows import one_step
from .processes import BATCH, Server, count_row_writes, start_apart
from .sizes import Sizes
from .worker import run

BULK = 10
"""In bulk so many times as many runs are started, which takes about as long."""


def start_singly(server: Server, sizes: Sizes) -> Figure:
    """W5: `start`, one after the other."""
    return _start(server, "W5", sizes.starts, at_a_time=1)


def start_in_bulk(server: Server, sizes: Sizes) -> Figure:
    """W5b: `start_many`."""
    return _start(server, "W5b", BULK * sizes.starts, at_a_time=BATCH)


def start_raw_singly(server: Server, sizes: Sizes) -> Figure:
    """The same by hand."""
    return _start_raw(server, "W5", sizes.starts, at_a_time=1)


def start_raw_in_bulk(server: Server, sizes: Sizes) -> Figure:
    """The same by hand."""
    return _start_raw(server, "W5b", BULK * sizes.starts, at_a_time=BATCH)


def _start(server: Server, workload: str, runs: int, *, at_a_time: int) -> Figure:
    with server.database() as url:
        written, before = count_row_writes(url, "fairlead"), server.read()
        started = start_apart(url, one_step, runs, at_a_time=at_a_time)
        after = server.read().since(before)
        costs = evolve(
            after,
            worker_cpu_s=started.cpu_s,
            statements=started.statements,
            transactions=started.transactions,
            row_writes=count_row_writes(url, "fairlead") - written,
        )
        run(check_started(url, one_step, started.run_ids))
    return _figure(workload, "fairlead", runs, started.took_s, costs, peak_mib=started.peak_mib)


def _start_raw(server: Server, workload: str, runs: int, *, at_a_time: int) -> Figure:
    with server.database(migrated=False) as url:
        before, cpu_s = server.read(), time.process_time()
        took_s = raw.insert(url, runs, batch=at_a_time)
        costs = evolve(server.read().since(before), worker_cpu_s=time.process_time() - cpu_s)
        writes = count_row_writes(url, "raw")
    return _figure(workload, f"raw-{at_a_time}", runs, took_s, evolve(costs, row_writes=writes))


def _figure(workload: str, subject: str, runs: int, took_s: float, costs: Costs, **extra: float) -> Figure:
    return Figure(
        workload=workload, subject=subject, unit="starts", count=runs, took_s=took_s, costs=costs, extra=extra
    )
