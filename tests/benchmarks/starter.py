"""Starts runs in a process of its own, so that what starting costs, and the memory it takes, is nobody else's.

`python -m tests.benchmarks.starter URL FLOW ELEMENTS RUNS AT_A_TIME` prints, as JSON, the ids of the runs, how long it
took, and what it cost this process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Flow, Kernel, Start

from .costs import StatementCounter, process_peak_mib
from .flows import FLOWS, input_of
from .worker import run


async def start(url: str, flow: Flow[Any], elements: int, runs: int, at_a_time: int) -> dict[str, Any]:
    """Start them, one by one or many with one call."""
    counter = StatementCounter()
    counter.install()
    found: list[str] = []
    async with Kernel(flows=FLOWS, ports=postgres_ports(url, prepare=True)) as kernel:
        await kernel.register()
        value = input_of(flow, elements)
        statements, transactions = counter.statements, counter.transactions
        began, cpu_s = time.perf_counter(), time.process_time()
        for first in range(0, runs, at_a_time):
            if at_a_time == 1:
                found.append((await kernel.start(flow, value)).id)
            else:
                starts = [Start(input=value)] * min(at_a_time, runs - first)
                found += [handle.id for handle in await kernel.start_many(flow, starts)]
        return {
            "run_ids": found,
            "took_s": time.perf_counter() - began,
            "cpu_s": time.process_time() - cpu_s,
            "statements": counter.statements - statements,
            "transactions": counter.transactions - transactions,
            "peak_mib": process_peak_mib(os.getpid()),
        }


def main(url: str, slug: str, elements: str, runs: str, at_a_time: str) -> None:
    """Start, and say what came of it."""
    (flow,) = (flow for flow in FLOWS if flow.slug == slug)
    print(json.dumps(run(start(url, flow, int(elements), int(runs), int(at_a_time)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
