"""`--at-start MODULE:NAME`: what is called there, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli.at_start import call_at_start
from fairlead.hosts.cli.loading import TargetUnusable
from fairlead.kernel import Flow, InvalidCron, Kernel

SOURCE = """
import asyncio

given = []

async def waits(kernel):
    await asyncio.sleep(0)
    given.append(kernel)

def plain(kernel, *, folder="."):
    given.append(kernel)

def asks_for_nothing():
    pass

def asks_for_more(kernel, settings):
    pass

async def fails(kernel):
    raise ValueError("no such harbour")

async def schedules(kernel):
    await kernel.schedule("report", cron="* *")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder; it is gone afterwards."""
    name = "at_start_example"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["waits", "plain"])
async def test_a_function_is_given_the_kernel_and_waited_for(module: str, name: str) -> None:
    """It is over when the call returns, whether it is async or not."""
    kernel = Kernel(flows=[], ports=memory_ports())
    await call_at_start(f"{module}:{name}", kernel)

    assert sys.modules[module].given == [kernel]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("given", "it is of type list; expected a function that takes `kernel`"),
        ("asks_for_nothing", "it takes nothing; expected a function that takes `kernel`"),
        ("asks_for_more", "it takes 'kernel', 'settings'; expected a function that takes `kernel`"),
        ("fails", r"calling it raised ValueError: no such harbour \(.*at_start_example.py, line 20\)"),
    ],
)
async def test_what_cannot_be_called_is_refused(module: str, name: str, said: str) -> None:
    """With what is expected, and where it went wrong."""
    with pytest.raises(TargetUnusable, match=said):
        await call_at_start(f"{module}:{name}", Kernel(flows=[], ports=memory_ports()))


async def test_an_error_of_ours_is_told_as_it_is(module: str) -> None:
    """It says what to do, and by its family with which code to exit."""
    report = Flow("report", version=1)

    @report.step
    def compute(input: None) -> int:
        return 1

    with pytest.raises(InvalidCron):
        await call_at_start(f"{module}:schedules", Kernel(flows=[report], ports=memory_ports()))
