"""`--resources MODULE:NAME`: what is given to a function that is found there, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli.loading import TargetUnusable
from fairlead.hosts.cli.resource_sources import find_resources
from fairlead.hosts.resources import opened
from fairlead.kernel import Kernel

SOURCE = """
from contextlib import asynccontextmanager

ready = {"greeting": "hello"}
number = 7

@asynccontextmanager
async def own():
    yield {"greeting": "hello"}

@asynccontextmanager
async def given(ports, kernel, *, greeting="hello"):
    yield {"greeting": greeting, "ports": ports, "kernel": kernel}

@asynccontextmanager
async def wants(ports, settings, folder):
    yield {}

async def bare():
    yield {}

async def awaited():
    return {}

def plain():
    return {}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder; it is gone afterwards."""
    name = "resources_example"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield name
    sys.modules.pop(name, None)


async def test_a_function_gets_the_kernel_and_its_ports_where_it_asks(module: str) -> None:
    """By name; a mapping, or a function that asks for nothing, is taken as it is."""
    kernel = Kernel(flows=[], ports=memory_ports())
    found: list[object] = []
    for name in ("ready", "own", "given"):
        async with opened(find_resources(f"{module}:{name}", kernel)) as resources:
            found.append(resources)

    greeting = {"greeting": "hello"}
    assert found == [greeting, greeting, {**greeting, "ports": kernel.ports, "kernel": kernel}]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("number", "it is of type int; expected a mapping of resources, or a function that takes nothing, `kernel` or"),
        ("wants", "it wants 'settings', 'folder'; expected a mapping"),
        ("bare", "it returned an object of type async_generator; .*; is @asynccontextmanager missing"),
        ("awaited", "it returned an object of type coroutine; expected a mapping"),
        ("plain", "it returned an object of type dict; expected a mapping"),
    ],
)
async def test_what_opens_no_resources_is_refused(module: str, name: str, said: str) -> None:
    """With what is expected."""
    with pytest.raises(TargetUnusable, match=said):
        async with opened(find_resources(f"{module}:{name}", Kernel(flows=[], ports=memory_ports()))):
            pass
