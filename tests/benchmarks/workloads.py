"""The workloads: each measures one thing once, checks what came of it, and gives figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import psycopg
from attrs import evolve, frozen

from fairlead.adapters.memory import memory_ports
from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, Start
from fairlead.ports.reading import OutputRequest, RunFilter
from fairlead.ports.statuses import RunStatus

from . import raw
from .figures import Figure, percentile
from .flows import FLOWS, TEXT, Batch, Order, Pages, fan_out, five_steps, large, one_step
from .processes import Server, WorkerProcess, count_row_writes
from .worker import run

LARGE_BYTES = 200_000_000
"""The array of the large fan-out."""

BATCH = 1_000
"""Runs started, listed or checked at a time."""

PATIENCE_S = 600.0
"""How long a drain may take before it counts as stuck."""

POLL_S = 0.005
"""How exactly the end of a drain is known."""

UNFINISHED = b"SELECT id FROM fairlead.runs WHERE id = ANY (%s::uuid[]) AND status IN ('pending', 'running')"

IDLE_BEFORE_S = 5.0
"""How long a worker is left alone before its idle cost is measured."""


@frozen(kw_only=True)
class Sizes:
    """How much of each workload is measured."""

    runs: int
    chains: int
    elements: int
    pages: int
    latencies: int
    idle_s: float
    memory_runs: int
    slots: int
    prepare: bool
    """Whether statements are prepared on the server, as is right where no old pooler stands before it."""


# Drains


def drain_one_step(server: Server, sizes: Sizes, *, workers: int = 1) -> Figure:
    """W1, W1b: runs of one step, started beforehand."""
    name = "W1" if workers == 1 else "W1b"
    return _drain(server, sizes, name, one_step, [_order()] * sizes.runs, steps=1, unit="runs", workers=workers)


def drain_chains(server: Server, sizes: Sizes) -> Figure:
    """W2: runs of five steps in sequence."""
    return _drain(server, sizes, "W2", five_steps, [_order()] * sizes.chains, steps=5, unit="steps")


def drain_fan_out(server: Server, sizes: Sizes) -> Figure:
    """W3: one run that maps over an array, then reduces."""
    batch = Batch([_order()] * sizes.elements)
    return _drain(server, sizes, "W3", fan_out, [batch], steps=sizes.elements + 1, unit="tasks")


def drain_large(server: Server, sizes: Sizes) -> Figure:
    """One run that makes an array of 200 MB, maps over it and reduces it, all of it through blobs in the database."""
    pages = Pages(sizes.pages, LARGE_BYTES // sizes.pages)
    return _drain(server, sizes, "large", large, [pages], steps=sizes.pages + 2, unit="tasks")


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


def _drain(
    server: Server,
    sizes: Sizes,
    name: str,
    flow: Flow[Any],
    inputs: Sequence[object],
    *,
    steps: int,
    unit: str,
    workers: int = 1,
) -> Figure:
    with server.database() as url:
        began = time.perf_counter()
        run_ids = run(_start(url, flow, inputs))
        start_s = time.perf_counter() - began
        writes = count_row_writes(url, "fairlead")
        with ExitStack() as stack:
            probe = stack.enter_context(psycopg.connect(url, autocommit=True))
            hosts = [
                stack.enter_context(WorkerProcess(url, sizes.slots, prepare=sizes.prepare)) for _ in range(workers)
            ]
            before = server.read(hosts)
            began = time.perf_counter()
            for host in hosts:
                host.go()
            _until_drained(probe, run_ids)
            took_s = time.perf_counter() - began
            costs = server.read(hosts).since(before)
            peak_mib = max(host.peak_mib() for host in hosts)
        writes_of_drain = count_row_writes(url, "fairlead") - writes
        run(_check(url, flow, run_ids, inputs))
    return Figure(
        workload=name,
        subject="fairlead",
        unit=unit,
        count=len(inputs) * steps,
        took_s=took_s,
        costs=evolve(costs, row_writes=writes_of_drain),
        extra={
            "starts_per_s": len(inputs) / start_s,
            "row_writes_per_start": writes / len(inputs),
            "peak_mib": peak_mib,
        },
    )


async def _start(url: str, flow: Flow[Any], inputs: Sequence[object]) -> list[str]:
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        return await _start_all(kernel, flow, inputs)


async def _start_all(kernel: Kernel, flow: Flow[Any], inputs: Sequence[object]) -> list[str]:
    found: list[str] = []
    for chunk in _chunks(inputs):
        found += [handle.id for handle in await kernel.start_many(flow, [Start(input=value) for value in chunk])]
    return found


def _until_drained(probe: psycopg.Connection[Any], run_ids: Sequence[str]) -> None:
    """Return when every run is terminal. Both questions are answered by an index, so asking costs next to nothing."""
    deadline = time.monotonic() + PATIENCE_S
    probe.execute("SET enable_seqscan = off")
    while probe.execute("SELECT FROM fairlead.runs WHERE pending LIMIT 1").fetchone() is not None:
        _pause(deadline)
    left: list[Any] = list(run_ids)
    while left:
        _pause(deadline)
        left = [run_id for (run_id,) in probe.execute(UNFINISHED, (left,))]


def _pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError(f"not drained after {PATIENCE_S:g} s")
    time.sleep(POLL_S)


async def _check(url: str, flow: Flow[Any], run_ids: Sequence[str], inputs: Sequence[object]) -> None:
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        await _check_runs(kernel, flow, run_ids, inputs)


async def _check_runs(kernel: Kernel, flow: Flow[Any], run_ids: Sequence[str], inputs: Sequence[object]) -> None:
    """Raise unless every run is completed with the right output, and every invariant holds."""
    completed: set[str] = set()
    chosen = RunFilter(statuses=frozenset({RunStatus.COMPLETED}))
    page = await kernel.runs(chosen, limit=BATCH)
    completed.update(record.id for record in page.runs)
    while page.next is not None:
        page = await kernel.runs(chosen, limit=BATCH, after=page.next)
        completed.update(record.id for record in page.runs)
    if completed != set(run_ids):
        raise RuntimeError(f"{flow.slug}: {len(completed)} of {len(run_ids)} runs are completed")
    (leaf,) = flow.plan.leaves
    for chunk in _chunks(list(zip(run_ids, inputs, strict=True))):
        requests = [OutputRequest(run_id, leaf) for run_id, _ in chunk]
        payloads = await kernel.ports.persistence.read_payloads((), requests)
        for request, (_, value) in zip(requests, chunk, strict=True):
            found = flow.steps[leaf].produced.decode(payloads.outputs[request].outputs[0] or b"")
            if found != _expected(flow, value):
                raise RuntimeError(f"{flow.slug}: run {request.run_id} has the output {found!r}")
    if broken := await kernel.ports.persistence.check_invariants():
        raise RuntimeError(f"{flow.slug}: invariants are broken: {broken}")


def _expected(flow: Flow[Any], value: object) -> object:
    if isinstance(value, Batch):
        return len(value.orders)
    if isinstance(value, Pages):
        return [value.count * (value.size_bytes - len('""'))] * 2
    return Order(TEXT, len(flow.steps))


# Latency and idle cost


def latency(server: Server, sizes: Sizes) -> Figure:
    """W4: an idle worker; start one run and wait for its result, one after the other. Then the cost of idling."""
    with server.database() as url, WorkerProcess(url, sizes.slots, prepare=sizes.prepare) as host:
        host.go()
        found = run(_round_trips(url, sizes.latencies))
        time.sleep(IDLE_BEFORE_S)
        before, began = server.read([host]), time.perf_counter()
        time.sleep(sizes.idle_s)
        idle_s = time.perf_counter() - began
        idle = server.read([host]).since(before)
    return _latency(
        "fairlead",
        found,
        idle_cores=(idle.worker_cpu_s + idle.postgres_cpu_s) / idle_s,
        idle_statements_per_minute=60 * idle.statements / idle_s,
    )


def latency_raw(server: Server, sizes: Sizes) -> Figure:
    """The same by hand, in one process."""
    with server.database(migrated=False) as url:
        return _latency("raw-1", raw.round_trips(url, sizes.latencies))


def _latency(subject: str, seconds: Sequence[float], **extra: float) -> Figure:
    return Figure(
        workload="W4",
        subject=subject,
        unit="runs",
        count=len(seconds),
        took_s=sum(seconds),
        extra={"p50_ms": 1000 * percentile(seconds, 0.5), "p99_ms": 1000 * percentile(seconds, 0.99), **extra},
    )


async def _round_trips(url: str, count: int) -> list[float]:
    found: list[float] = []
    run_ids: list[str] = []
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        await kernel.register()
        for _ in range(count):
            began = time.perf_counter()
            handle = await kernel.start(one_step, _order())
            result = await handle.result(timeout=PATIENCE_S)
            found.append(time.perf_counter() - began)
            run_ids.append(handle.id)
            if result != {"handle": {"text": TEXT, "handled": 1}}:
                raise RuntimeError(f"run {handle.id} has the output {result}")
        await _check_runs(kernel, one_step, run_ids, [_order()] * count)
    return found


# In memory


def drain_in_memory(sizes: Sizes) -> Figure:
    """Runs of one step through a host on the in-memory adapters, started beforehand."""
    figure: Figure = run(_drain_in_memory(sizes))
    return figure


async def _drain_in_memory(sizes: Sizes) -> Figure:
    inputs = [_order()] * sizes.memory_runs
    async with Kernel(flows=FLOWS, ports=memory_ports()) as kernel:
        run_ids = await _start_all(kernel, one_step, inputs)
        began, cpu_s = time.perf_counter(), time.process_time()
        async with NodeHost(kernel, concurrency=sizes.slots):
            while await _unfinished(kernel):  # noqa: ASYNC110 (nobody is told when a store is drained)
                await asyncio.sleep(POLL_S)
            took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        await _check_runs(kernel, one_step, run_ids, inputs)
    return Figure(
        workload="memory",
        subject="fairlead",
        unit="runs",
        count=len(inputs),
        took_s=took_s,
        extra={"cpu_ms_per_run": 1000 * cpu_s / len(inputs)},
    )


async def _unfinished(kernel: Kernel) -> bool:
    """Whether a run is pending or running."""
    unfinished = RunFilter(statuses=frozenset({RunStatus.PENDING, RunStatus.RUNNING}))
    return bool((await kernel.runs(unfinished, limit=1)).runs)


def _order() -> Order:
    return Order(TEXT, 0)


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(values), BATCH):
        yield values[first : first + BATCH]
