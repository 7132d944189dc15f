"""What a process does before it is killed, and the next one after it: clients and hosts, to the end of all runs.

Everything is said as often as it takes: whoever comes after a crash does not know how far the one before has come.
Handlers, the sink and the clients tell a ledger that outlives them, line by line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Context, Flow, GiveUp, Kernel, RunFilter, RunHandle, RunStatus, Suspend
from fairlead.ports.outbox import EventRecord
from fairlead.ports.statuses import TERMINAL_RUN

INLINE_BYTES_MAX = 10
"""Everything but numbers is a blob."""

ATTEMPTS_MAX = 10
"""More than a task is struck, so that its own failures decide what becomes of it."""

ROUND = timedelta(seconds=60)
"""Longer than a lease, and than what anything waits for."""

ROUNDS_MAX = 30

EXPECTED: dict[str, tuple[RunStatus, Any]] = {
    "order": (RunStatus.COMPLETED, {"ship": ["paid 3 of a long name", [2, 4, 6], 7, 30]}),
    "mended": (RunStatus.COMPLETED, {"sum_up": [1, 2]}),
    "cancelled": (RunStatus.CANCELLED, "not wanted"),
    "deferred": (RunStatus.COMPLETED, {"sum_up": [5]}),
}
"""How each run ends, by key: its result, or the reason of its end."""

_MORE_THAN_ONCE = {("reserve", "1"): 2, ("print_label", "0"): 2}
"""Tasks, by step and element, that are executed more than once where nobody is killed: one is retried, one checked."""

PRUNED = "old"
"""The key of a run of which nothing is left."""


def executions_max(task: str, kills: int) -> int:
    """How often a task may be executed: as often as without kills, and once more after each."""
    _, step, _, element = task.split("/")
    return _MORE_THAN_ONCE.get((step, element), 1) + kills


class Ledger:
    """Lines that stay whatever becomes of who wrote them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def tell(self, what: str, *details: object) -> None:
        """Add a line."""
        os.write(self._file, json.dumps([what, *details]).encode() + b"\n")

    def holds(self, what: str) -> bool:
        """Whether there is such a line."""
        return any(line[0] == what for line in lines_of(self._path))

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """A sink that accepts everything."""
        for event in batch:
            self.tell("event", event.run_id, event.sequence, event.type)
        return len(batch)

    async def aclose(self) -> None:
        """Close."""
        os.close(self._file)


def lines_of(path: Path) -> list[list[Any]]:
    """All lines of a ledger."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def flows(ledger: Ledger) -> list[Flow[Any]]:
    """One with everything that a step can be, one that fails until it is mended, and one whose runs are forgotten."""
    return [_order(ledger), _fragile(ledger), _passing(ledger)]


def _entered(ledger: Ledger, ctx: Context) -> None:
    ledger.tell("executed", ctx.idempotency_key)


def _order(ledger: Ledger) -> Flow[Any]:
    flow = Flow("order", version=1, input=str, input_name="name", max_attempts=ATTEMPTS_MAX, base_delay=1)

    @flow.step
    async def charge(name: str, ctx: Context) -> str:
        _entered(ledger, ctx)
        ctx.log("charging", name=name)
        ctx.annotate(customer=name[:3])
        return f"paid 3 of {name}"

    @flow.step
    async def list_items(ctx: Context) -> list[int]:
        _entered(ledger, ctx)
        return [1, 2, 3]

    @flow.map(over=list_items, max_concurrency=2)
    async def reserve(item: int, ctx: Context) -> int:
        _entered(ledger, ctx)
        ctx.progress(1, 2)
        if ctx.attempt == 1 and item == 2:
            raise ValueError("not at the first time")
        return 2 * item

    approval = flow.signal("approval", int, after=[charge])

    @flow.step
    async def print_label(ctx: Context) -> int | Suspend[int]:
        _entered(ledger, ctx)
        return Suspend(state=20, check_after=30)

    @flow.check(print_label)
    async def is_printed(state: int, ctx: Context) -> int | Suspend[int]:
        _entered(ledger, ctx)
        return state + 10

    pause = flow.sleep("pause", 30, after=[approval])

    @flow.step(after=[pause])
    async def ship(charge: str, reserve: list[int], approval: int, print_label: int, ctx: Context) -> list[Any]:
        _entered(ledger, ctx)
        return [charge, reserve, approval, print_label]

    return flow


def _fragile(ledger: Ledger) -> Flow[Any]:
    flow = Flow("fragile", version=1, input=list[int], max_attempts=1)

    @flow.map(over="input", max_attempts=ATTEMPTS_MAX, base_delay=1)
    async def read(item: int, ctx: Context) -> int:
        _entered(ledger, ctx)
        if item == 2 and not ledger.holds("mending"):
            raise GiveUp("no such thing")
        return item

    @flow.step(max_attempts=ATTEMPTS_MAX)
    async def sum_up(read: list[int], ctx: Context) -> list[int]:
        _entered(ledger, ctx)
        return read

    return flow


def _passing(ledger: Ledger) -> Flow[Any]:
    flow = Flow("passing", version=1, input=str, max_attempts=ATTEMPTS_MAX, base_delay=1)

    @flow.step
    async def repeat(input: str, ctx: Context) -> str:
        _entered(ledger, ctx)
        ctx.log("soon forgotten")
        return input

    return flow


class Clients:
    """Everybody who wants something, and says so until it is acknowledged."""

    def __init__(self, kernel: Kernel, ledger: Ledger) -> None:
        self._kernel = kernel
        self._ledger = ledger

    async def begin(self) -> None:
        """Start all runs."""
        kernel = self._kernel
        runs = {
            "order": await kernel.start("order", "a long name", key="order"),
            "mended": await kernel.start("fragile", [1, 2], key="mended"),
            "cancelled": await kernel.start("fragile", [3], key="cancelled"),
        }
        if not self._ledger.holds("pruned"):
            runs[PRUNED] = await kernel.start("passing", "a long name", key=PRUNED)
        for key, run in runs.items():
            self._ledger.tell("acknowledged", key, run.id)
        self._runs = runs
        deferred = await kernel.start_later("fragile", [5], after=1, key="deferred")
        self._ledger.tell("acknowledged", "deferred", (await deferred.run()).id)
        if await runs["cancelled"].status() not in TERMINAL_RUN:
            await runs["cancelled"].cancel(reason="not wanted")
        self._ledger.tell("cancelled")

    async def go_on(self) -> bool:
        """Do what can be done by now; whether that was all."""
        order, mended = self._runs["order"], self._runs["mended"]
        if await order.status() not in TERMINAL_RUN:
            await order.signal("approval", 7, key="of the manager")
            self._ledger.tell("signalled")
        if await self._has_failed_first(mended):
            self._ledger.tell("mending")
            await mended.retry("read")
            self._ledger.tell("mended")
        runs = {run.key: run for run in (await self._kernel.runs(RunFilter())).runs}
        over = {key for key, run in runs.items() if run.status in TERMINAL_RUN}
        over -= {key for key in over if key == "mended" and runs[key].generation == 1}
        return EXPECTED.keys() <= over == runs.keys() and await self._is_pruned(PRUNED in over)

    async def _is_pruned(self, over: bool) -> bool:
        """Forget one run, once all that the others tell is published as well; whether it is gone."""
        store = self._kernel.ports.persistence
        if any(sink.waiting for sink in await store.read_sinks(count_max=1)):
            return False
        if over:
            await self._kernel.prune(older_than=0, flow="passing")
            return False
        self._ledger.tell("pruned")
        return True

    async def _has_failed_first(self, run: RunHandle) -> bool:
        record = await run.read()
        return record.status is RunStatus.FAILED and record.generation == 1


async def live(kernel: Kernel, ledger: Ledger, pass_time: Callable[[timedelta], None]) -> None:
    """One process: clients and hosts, one after the other, until nothing is left to do."""
    clients = Clients(kernel, ledger)
    await clients.begin()
    for _ in range(ROUNDS_MAX):
        async with ServerlessHost(kernel, lease_duration=30, heartbeats="loop") as host:
            await host.run_maintenance_tick()
            await host.process_available_jobs(1_000)
            await host.run_maintenance_tick()
        if await clients.go_on():
            ledger.tell("done")
            return
        pass_time(ROUND)
    raise AssertionError(f"not over after {ROUNDS_MAX} rounds")
