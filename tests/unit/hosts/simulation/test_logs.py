"""Defects that hosts outlive: an error that nobody foresaw is convicted, although every run ends well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.adapters.memory import MemoryPersistence
from fairlead.hosts.errors import ResourceProblem
from fairlead.hosts.node import NodeHost
from fairlead.hosts.simulation import Faults, SimulationFailed, simulate
from fairlead.kernel import Flow, Resource


def _flow() -> Flow[Any]:
    flow = Flow("plain", version=1)

    @flow.step
    async def work() -> int:
        return 1

    return flow


def test_a_tick_that_always_fails_is_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in maintenance stops nothing here, and is told."""
    monkeypatch.setattr(MemoryPersistence, "find_waits", None)

    with pytest.raises(SimulationFailed, match=r"(?s)nobody foresaw TypeError: .*no flow can cause"):
        simulate(_flow, seeds=5, faults=Faults.none())


def test_a_host_that_cannot_begin_is_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does anybody wait until the run does not end."""
    monkeypatch.setattr(NodeHost, "__aenter__", None)

    with pytest.raises(SimulationFailed, match=r"a host has failed: TypeError"):
        simulate(_flow, seeds=1, faults=Faults.none())


def test_a_resource_that_is_missing_is_said_as_it_is() -> None:
    """Before any fault, and not as a run that does not end."""
    flow = Flow("needy", version=1)

    @flow.step
    async def work(bank: Resource[list[int]]) -> int:
        return len(bank)

    with pytest.raises(ResourceProblem, match="parameter 'bank'"):
        simulate(flow, seeds=1)


def test_errors_of_users_are_not_blamed_on_the_framework() -> None:
    """What a flow's own code raises is its own affair, also in a task that nobody awaits."""
    flow = Flow("untidy", version=1)

    @flow.step
    async def work(broken: Resource[object]) -> int:
        async def never_awaited() -> None:
            raise KeyError("of the user")

        asyncio.ensure_future(never_awaited())  # noqa: RUF006
        await asyncio.sleep(1)
        return 1

    report = simulate(flow, seeds=5, faults=Faults.none(), resources=lambda: {"broken": object()})

    assert report.executions == 5
