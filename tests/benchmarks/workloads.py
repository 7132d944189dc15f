"""All workloads by name, and what is measured for each: by hand first, then Fairlead, then other systems."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from attrs import field, frozen

from . import drains, latency, loads, starts
from .drains import drain_raw
from .figures import Figure
from .flow_tests import try_flows
from .imports import import_modules
from .in_memory import drain_in_memory
from .peers.catalogue import PEERS
from .peers.measuring import measurement as measurement_of_peer
from .processes import Server
from .sizes import Sizes

RAW_BATCH = 100

Measurement: TypeAlias = Callable[[Server, Sizes], Figure]


@frozen
class Workload:
    """What is measured under one name."""

    about: str
    fairlead: Measurement
    raw: Sequence[Measurement] = ()
    by_default: bool = field(default=True, kw_only=True)
    """Whether it is measured where nobody names it."""


def measurements(workload: str, systems: Collection[str]) -> Iterator[Measurement]:
    """What is measured of these systems, one after the other."""
    if "raw" in systems:
        yield from WORKLOADS[workload].raw
    if "fairlead" in systems:
        yield WORKLOADS[workload].fairlead
    for name, peer in PEERS.items():
        if name in systems and (measured := measurement_of_peer(workload, peer)) is not None:
            yield measured


def _raw(workload: str, unit: str, jobs: Callable[[Sizes], int], steps: int = 1, batch: int = RAW_BATCH) -> Measurement:
    def measure(server: Server, sizes: Sizes) -> Figure:
        return drain_raw(server, workload, unit, jobs(sizes), steps=steps, batch=batch)

    return measure


WORKLOADS: Mapping[str, Workload] = {
    "W1": Workload(
        "runs of one step",
        drains.drain_one_step,
        (
            _raw("W1", "runs", lambda sizes: sizes.runs),
            _raw("W1", "runs", lambda sizes: sizes.runs // 10, batch=1),
        ),
    ),
    "W1b": Workload("W1 with two workers", drains.drain_with_two, (_raw("W1b", "runs", lambda sizes: sizes.runs),)),
    "W2": Workload(
        "runs of five steps in sequence",
        drains.drain_chains,
        (
            _raw("W2", "steps", lambda sizes: sizes.chains, 5),
            _raw("W2", "steps", lambda sizes: sizes.chains // 10, 5, 1),
        ),
    ),
    "W3": Workload("a map and a reduce", drains.drain_fan_out, (_raw("W3", "tasks", lambda sizes: sizes.elements),)),
    "W3L": Workload("W3 over a long array", drains.drain_long_fan_out),
    "W3M": Workload("W3 over a million elements, as streams", drains.drain_million, by_default=False),
    "W4": Workload("one run at a time on an idle worker", latency.latency, (latency.latency_raw,)),
    "W5": Workload("starts, one at a time", starts.start_singly, (starts.start_raw_singly,)),
    "W5b": Workload("starts in bulk", starts.start_in_bulk, (starts.start_raw_in_bulk,)),
    "W6": Workload("W1 beside finished runs", loads.beside_finished),
    "W6w": Workload("W1 beside waiting runs", loads.beside_waiting),
    "W7": Workload("W1 beside an open transaction", loads.beside_open_transaction),
    "W8": Workload("W1 through PgBouncer", loads.through_pooler),
    "hosts": Workload("W1 with many hosts", loads.with_many_hosts),
    "large": Workload("a map over 200 MB", drains.drain_large),
    "memory": Workload("runs of one step in memory", drain_in_memory),
    "flow-test": Workload("tests of a flow of five steps", try_flows),
    "import": Workload("fresh processes that import Fairlead", import_modules),
}

SYSTEMS = ("fairlead", "raw", *PEERS)
"""Everybody who can be measured."""
