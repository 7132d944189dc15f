"""Flows compared with those of a database, from the command line."""

from __future__ import annotations

import json

from tests.support.commands import Commands

APP = """
from fairlead.kernel import Flow, Kernel, Ports

greet = Flow("greet", version=2)

@greet.step
def hello(input: str) -> str:
    return f"hello {input}"

fresh = Flow("fresh", version=1)

@fresh.step
def begin(input: str) -> str:
    return input

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[greet], ports=ports)

def both(ports: Ports) -> Kernel:
    return Kernel(flows=[greet, fresh], ports=ports)
"""


def test_shapes_are_compared_with_those_that_are_registered(fairlead: Commands, migrated_url: str) -> None:
    """Equal shapes and unknown flows are fine; every difference is a line, the exit code 2, and nothing is written."""
    app = fairlead.folder / "app.py"
    app.write_text(APP)
    place = ("--database", migrated_url)
    fairlead.ok("start", "greet", "--kernel", "app:kernel", "--input", '"you"', *place)
    before = fairlead.ok("flows", "check", "--kernel", "app:both", *place)
    # Of another length: Python takes a module for unchanged that was written in the same second with the same size.
    app.write_text(APP.replace("def hello(input: str) -> str", "def hello(input: str) -> float"))
    changed = fairlead("flows", "check", "--kernel", "app:both", *place)
    again = json.loads(fairlead("flows", "check", "--kernel", "app:both", "--json", *place).stdout)

    assert before == "2 flows: all is well\n"
    assert changed.returncode == 2
    told = "flow 'greet' (version 2) is registered with another shape: step 'hello': output was string, is number"
    assert changed.stderr == f"app:both: {told}\n"
    assert [problem["message"] for problem in again["problems"]] == [told]
    assert fairlead.ok("flows", "check", "--kernel", "app:both") == "2 flows: all is well\n"
