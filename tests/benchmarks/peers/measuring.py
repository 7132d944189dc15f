"""Figures of the peers: the same workloads as Fairlead's, timed and checked in the same way."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeAlias

import psycopg
from attrs import evolve, frozen

from ..costs import Costs
from ..figures import Figure, percentile
from ..flows import PAYLOAD, TEXT
from ..latency import IDLE_BEFORE_S
from ..processes import ROOT, Server, ToldProcess, count_row_writes
from ..sizes import Sizes
from ..starts import BULK
from ..watching import wait_until
from .catalogue import Peer
from .conversation import STEPS
from .environments import interpreter

Measurement: TypeAlias = Callable[[Server, Sizes], Figure]


class WrongResults(Exception):
    """What a peer left behind is not what the work should have come to."""


@frozen(kw_only=True)
class Work:
    """What is drained."""

    workload: str
    kind: str
    """The peer's word for it: `runs`, `chains` or `map`."""
    unit: str
    orders: int
    units: int
    workers: int = 1


def measurement(workload: str, peer: Peer) -> Measurement | None:
    """How a peer is measured in a workload of Fairlead's; None where it has nothing of the kind."""
    if workload not in peer.shares:
        return None
    return partial(MEASUREMENTS[workload], peer, peer.shares[workload])


def _drain_runs(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    orders = _amount(sizes.runs, share)
    return drain(server, peer, Work(workload="W1", kind="runs", unit="runs", orders=orders, units=orders))


def _drain_runs_with_two(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    orders = _amount(sizes.runs, share)
    return drain(server, peer, Work(workload="W1b", kind="runs", unit="runs", orders=orders, units=orders, workers=2))


def _drain_chains(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    orders = _amount(sizes.chains, share)
    return drain(server, peer, Work(workload="W2", kind="chains", unit="steps", orders=orders, units=STEPS * orders))


def _drain_map(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    orders = _amount(sizes.elements, share)
    return drain(server, peer, Work(workload="W3", kind="map", unit="tasks", orders=orders, units=orders + 1))


def _start_singly(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    return start(server, peer, "W5", _amount(sizes.starts, share))


def _start_in_bulk(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    return start(server, peer, "W5b", _amount(BULK * sizes.starts, share), bulk=True)


def _latency(peer: Peer, share: float, server: Server, sizes: Sizes) -> Figure:
    return latency(server, peer, _amount(sizes.latencies, share), idle_s=sizes.idle_s)


MEASUREMENTS: Mapping[str, Callable[[Peer, float, Server, Sizes], Figure]] = {
    "W1": _drain_runs,
    "W1b": _drain_runs_with_two,
    "W2": _drain_chains,
    "W3": _drain_map,
    "W4": _latency,
    "W5": _start_singly,
    "W5b": _start_in_bulk,
}


def drain(server: Server, peer: Peer, work: Work) -> Figure:
    """Enqueue orders, let workers finish them, and check what came of them."""
    with server.database(migrated=False) as url:
        _call(peer, "prepare", url)
        started = _call(peer, "start", url, work.kind, str(work.orders), "--bulk")
        writes = count_row_writes(url, peer.schema)
        with ExitStack() as stack:
            probe = stack.enter_context(psycopg.connect(url, autocommit=True))
            workers = [stack.enter_context(_Worker(peer, url, "drain")) for _ in range(work.workers)]
            before, began = server.read(workers), time.perf_counter()
            for worker in workers:
                worker.go()
            _until_drained(probe, peer)
            took_s = time.perf_counter() - began
            costs = server.read(workers).since(before)
            done = sum(worker.done() for worker in workers)
        writes_of_drain = count_row_writes(url, peer.schema) - writes
        check(url, peer, work.kind, work.orders, done)
    return Figure(
        workload=work.workload,
        subject=peer.name,
        unit=work.unit,
        count=work.units,
        took_s=took_s,
        costs=evolve(costs, row_writes=writes_of_drain),
        extra={"starts_per_s": work.orders / started["took_s"], "row_writes_per_start": writes / work.orders},
    )


def start(server: Server, peer: Peer, workload: str, orders: int, *, bulk: bool = False) -> Figure:
    """Enqueue orders by one client, while nobody works."""
    with server.database(migrated=False) as url:
        _call(peer, "prepare", url)
        writes, before = count_row_writes(url, peer.schema), server.read()
        started = _call(peer, "start", url, "runs", str(orders), *(["--bulk"] if bulk else []))
        costs = server.read().since(before)
        written = count_row_writes(url, peer.schema) - writes
        check(url, peer, "starts", orders)
    return Figure(
        workload=workload,
        subject=peer.name,
        unit="starts",
        count=orders,
        took_s=started["took_s"],
        costs=evolve(costs, worker_cpu_s=started["cpu_s"], row_writes=written),
    )


def latency(server: Server, peer: Peer, orders: int, *, idle_s: float) -> Figure:
    """An idle worker; start one run and wait for its end, one after the other. Then what idling costs.

    A peer that polls is watched a second time as it comes: who polls seldom idles at less cost, and is slower.
    """
    with server.database(migrated=False) as url:
        _call(peer, "prepare", url)
        with _Worker(peer, url, "latency") as worker:
            worker.go()
            seconds = [float(value) for value in _call(peer, "round-trips", url, str(orders))["seconds"]]
            idle = {"idle_cores": _idle_cores(server, worker, idle_s)}
            done = worker.done()
        if peer.polls:
            with _Worker(peer, url, "default") as worker:
                worker.go()
                idle["idle_cores_by_default"] = _idle_cores(server, worker, idle_s)
        check(url, peer, "runs", orders, done)
    return Figure(
        workload="W4",
        subject=peer.name,
        unit="runs",
        count=orders,
        took_s=sum(seconds),
        extra={"p50_ms": 1000 * percentile(seconds, 0.5), "p99_ms": 1000 * percentile(seconds, 0.99), **idle},
    )


def check(url: str, peer: Peer, kind: str, orders: int, done: int | None = None) -> None:
    """Raise unless everything ended, and with the right output.

    Args:
        url: the database.
        peer: whose tables are in it.
        kind: `runs`, `chains` or `map`, worked off, or `starts`.
        orders: how many were enqueued.
        done: how many ended with the right output by the workers' own count, for peers that store no outputs.

    Raises:
        WrongResults: not so.
    """
    parameters = {"once": _handled(1), "five_times": _handled(STEPS)}
    with psycopg.connect(url) as connection:
        for wanted in peer.checks[kind]:
            row = connection.execute(wanted.query.encode(), parameters).fetchone()
            found = None if row is None else row[0]
            if found != orders * wanted.per_order:
                raise WrongResults(f"{peer.name}: {found} instead of {orders * wanted.per_order}: {wanted.query}")
        if kind != "starts" and (left := connection.execute(peer.waiting.encode()).fetchone()) is not None:
            raise WrongResults(f"{peer.name}: something has not ended: {left}")
    if done is not None and not peer.stores_outputs and done != orders:
        raise WrongResults(f"{peer.name}: {done} of {orders} ended with the right output")


class _Worker(ToldProcess):
    def __init__(self, peer: Peer, url: str, purpose: str) -> None:
        super().__init__(_command(peer, "work", url, purpose))

    def done(self) -> int:
        """What ended with the right output, by its own count."""
        return int(self.ask("report")["done"])


def _idle_cores(server: Server, worker: ToldProcess, idle_s: float) -> float:
    time.sleep(IDLE_BEFORE_S)
    before, began = server.read([worker]), time.perf_counter()
    time.sleep(idle_s)
    took_s = time.perf_counter() - began
    idle: Costs = server.read([worker]).since(before)
    return (idle.worker_cpu_s + idle.postgres_cpu_s) / took_s


def _until_drained(probe: psycopg.Connection[Any], peer: Peer) -> None:
    probe.execute("SET enable_seqscan = off")
    wait_until(lambda: probe.execute(peer.waiting.encode()).fetchone() is None, subject=peer.name)


def _call(peer: Peer, *arguments: str) -> dict[str, Any]:
    """Run a peer's process to its end; what it said."""
    said = subprocess.run(_command(peer, *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    answer: dict[str, Any] = json.loads(said) if said else {}
    return answer


def _command(peer: Peer, *arguments: str) -> list[str]:
    return [str(interpreter(peer.name)), "-m", f"{__package__}.{peer.name}_roles", "--order", PAYLOAD, *arguments]


def _handled(times: int) -> str:
    return json.dumps({"text": TEXT, "handled": times})


def _amount(of_fairlead: int, share: float) -> int:
    return max(1, round(of_fairlead * share))
