"""W4: how long one run takes on an idle worker, and what that worker costs while there is nothing to do."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Kernel

from . import raw
from .checking import check_runs
from .figures import Figure, percentile
from .flows import FLOWS, TEXT, one_step, order
from .processes import Server, WorkerProcess
from .sizes import Sizes
from .watching import PATIENCE_S
from .worker import run

IDLE_BEFORE_S = 5.0
"""How long a worker is left alone before its idle cost is measured."""


def latency(server: Server, sizes: Sizes) -> Figure:
    """Start one run and wait for its result, one after the other; then watch the worker idle."""
    with server.database() as url, WorkerProcess(url, sizes.slots, {"prepare": sizes.prepare}) as host:
        host.go()
        found = run(_round_trips(url, sizes))
        time.sleep(IDLE_BEFORE_S)
        before, began = server.read([host]), time.perf_counter()
        time.sleep(sizes.idle_s)
        idle_s = time.perf_counter() - began
        idle = server.read([host]).since(before)
    return _figure(
        "fairlead",
        found,
        idle_cores=(idle.worker_cpu_s + idle.postgres_cpu_s) / idle_s,
        idle_statements_per_minute=60 * idle.statements / idle_s,
    )


def latency_raw(server: Server, sizes: Sizes) -> Figure:
    """The same by hand, in one process."""
    with server.database(migrated=False) as url:
        return _figure("raw-1", raw.round_trips(url, sizes.latencies))


def _figure(subject: str, seconds: Sequence[float], **extra: float) -> Figure:
    return Figure(
        workload="W4",
        subject=subject,
        unit="runs",
        count=len(seconds),
        took_s=sum(seconds),
        extra={"p50_ms": 1000 * percentile(seconds, 0.5), "p99_ms": 1000 * percentile(seconds, 0.99), **extra},
    )


async def _round_trips(url: str, sizes: Sizes) -> list[float]:
    found: list[float] = []
    run_ids: list[str] = []
    async with Kernel(flows=FLOWS, ports=postgres_ports(url, prepare=sizes.prepare)) as kernel:
        await kernel.register()
        for _ in range(sizes.latencies):
            began = time.perf_counter()
            handle = await kernel.start(one_step, order())
            result = await handle.result(timeout=PATIENCE_S)
            found.append(time.perf_counter() - began)
            run_ids.append(handle.id)
            if result != {"handle": {"text": TEXT, "handled": 1}}:
                raise RuntimeError(f"run {handle.id} has the output {result}")
        await check_runs(kernel, one_step, run_ids)
    return found
