"""Runs of one step through a host on the in-memory adapters, started beforehand."""

from __future__ import annotations

import asyncio
import time

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Kernel, Start
from fairlead.ports.reading import RunFilter
from fairlead.ports.statuses import RunStatus

from .checking import check_runs
from .figures import Figure
from .flows import FLOWS, one_step, order
from .processes import BATCH, Server
from .sizes import Sizes
from .watching import POLL_S
from .worker import run


def drain_in_memory(_server: Server, sizes: Sizes) -> Figure:
    """Drain them in this process."""
    figure: Figure = run(_drain(sizes))
    return figure


async def _drain(sizes: Sizes) -> Figure:
    run_ids: list[str] = []
    async with Kernel(flows=FLOWS, ports=memory_ports()) as kernel:
        while (left := sizes.memory_runs - len(run_ids)) > 0:
            starts = [Start(input=order())] * min(left, BATCH)
            run_ids += [handle.id for handle in await kernel.start_many(one_step, starts)]
        began, cpu_s = time.perf_counter(), time.process_time()
        async with NodeHost(kernel, concurrency=sizes.slots):
            while await _unfinished(kernel):  # noqa: ASYNC110 (nobody is told when a store is drained)
                await asyncio.sleep(POLL_S)
            took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        await check_runs(kernel, one_step, run_ids)
    return Figure(
        workload="memory",
        subject="fairlead",
        unit="runs",
        count=len(run_ids),
        took_s=took_s,
        extra={"cpu_ms_per_run": 1000 * cpu_s / len(run_ids)},
    )


async def _unfinished(kernel: Kernel) -> bool:
    """Whether a run is pending or running."""
    unfinished = RunFilter(statuses=frozenset({RunStatus.PENDING, RunStatus.RUNNING}))
    return bool((await kernel.runs(unfinished, limit=1)).runs)
