"""A worker in a process of its own, told by lines on standard input what to do next.

`python -m tests.benchmarks.worker URL SLOTS OPTIONS` connects, registers its flows and prints a line of JSON when it is
ready; OPTIONS are those of `postgres_ports`, as JSON.
`go` starts its host. `report` prints its counters. `stop`, or the end of its input, drains it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any

from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.hosts.process import collect_rarely, new_runner
from fairlead.kernel import Kernel

from .costs import StatementCounter
from .flows import FLOWS


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the event loop of `fairlead worker`."""
    with new_runner() as runner:
        return runner.run(work)


async def serve(url: str, slots: int, options: dict[str, Any]) -> None:
    """Do what standard input says."""
    counter = StatementCounter()
    counter.install()
    async with Kernel(flows=FLOWS, ports=postgres_ports(url, **options)) as kernel:
        await kernel.register()
        host = NodeHost(kernel, concurrency=slots)
        _say({"ready": True})
        while (line := (await asyncio.to_thread(sys.stdin.readline)).strip()) not in ("", "stop"):
            if line == "go":
                await host.start()
            _say({"statements": counter.statements, "transactions": counter.transactions})
        await host.stop()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    collect_rarely()
    run(serve(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
