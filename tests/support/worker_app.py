"""A worker process for tests: flows whose handlers do what their input says, and a host that runs them.

Every handler writes a line to a ledger when it begins and when it ends, beside the database, so that a test sees what
was executed whatever was recorded. Run as `python worker_app.py URL LEDGER [OPTION=VALUE …]`; "ready" on standard
output says that the host runs.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import attrs

from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel, Resource

POLL_S = 0.01


@attrs.frozen(kw_only=True)
class Order:
    """What a handler is to do."""

    kind: str = "quick"
    """`quick`, `wait` (for the file `until`), `block` (the event loop, for ever), `die` (with its process)."""
    until: str = ""
    value: int = 0


class Ledger:
    """Lines appended by many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, what: str, ctx: Context) -> None:
        """Note that an attempt began or ended."""
        line = json.dumps([what, ctx.step, ctx.run_id, ctx.index, ctx.attempt, os.getpid()])
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)


single = Flow("single", version=1, input=Order, input_name="order", base_delay=0)


@single.step(timeout=600)
async def work(order: Order, ctx: Context, ledger: Resource[Ledger]) -> int:
    """Do as ordered in the event loop."""
    ledger.write("begin", ctx)
    if order.kind == "wait":
        while not os.path.exists(order.until):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(POLL_S)
    elif order.kind == "block":
        while True:
            time.sleep(POLL_S)  # noqa: ASYNC251
    elif order.kind == "die":
        os._exit(9)
    ledger.write("end", ctx)
    return order.value


threaded = Flow("threaded", version=1, input=Order, input_name="order", base_delay=0)


@threaded.step(timeout=600)
def work_in_thread(order: Order, ctx: Context, ledger: Resource[Ledger]) -> int:
    """Do as ordered in a thread."""
    ledger.write("begin", ctx)
    while order.kind == "wait" and not os.path.exists(order.until):
        time.sleep(POLL_S)
    ledger.write("end", ctx)
    return order.value


tally = Flow("tally", version=1, input=list[int], input_name="numbers", base_delay=0)


@tally.map(over="numbers")
async def square(item: int, ctx: Context, ledger: Resource[Ledger]) -> int:
    """A few milliseconds of work for each element."""
    ledger.write("begin", ctx)
    await asyncio.sleep(0.005)
    ledger.write("end", ctx)
    return item * item


@tally.step
async def total(square: list[int]) -> int:
    """The sum of all squares."""
    return sum(square)


FLOWS = (single, threaded, tally)


async def serve(url: str, ledger: Path, options: dict[str, Any]) -> signal.Signals:
    """Run a host until a signal comes."""
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        host = NodeHost(kernel, resources={"ledger": Ledger(ledger)}, **options)
        asyncio.get_running_loop().call_later(0.01, lambda: asyncio.ensure_future(_tell_ready(host)))
        return await host.run_until_signal()


async def _tell_ready(host: NodeHost) -> None:
    while not host.running:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    print("ready", flush=True)


def main() -> None:
    """Read the command line and serve."""
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    url, ledger, *given = sys.argv[1:]
    options = {name: json.loads(value) for name, value in (each.split("=", 1) for each in given)}
    received = asyncio.run(serve(url, Path(ledger), options))
    print(f"ended by {received.name}", flush=True)


if __name__ == "__main__":
    main()
