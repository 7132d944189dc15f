"""`fairlead signal` and `fairlead resume` against a kernel in memory that lives as long as its module."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fairlead.hosts.cli import main

SOURCE = """
from attrs import frozen
from fairlead.adapters.memory import memory_ports
from fairlead.kernel import Flow, Kernel

@frozen
class Approval:
    approved: bool

order = Flow("order", version=1)
approval = order.signal("approval", Approval)
nothing = order.signal("nothing", None)

@order.step
async def close(approval: Approval) -> bool:
    return approval.approved

kernel = Kernel(flows=[order], ports=memory_ports())
"""

_numbers = count()


class Shop:
    """The module of a kernel, and a run in its store."""

    def __init__(self, name: str) -> None:
        self.target = f"{name}:kernel"
        self.kernel: Any = importlib.import_module(name).kernel
        self.run = asyncio.run(self._started())

    async def _started(self) -> str:
        run = await self.kernel.start("order", None)
        return str(run.id)

    def call(self, command: str, *arguments: str, stdin: str | None = None) -> Result:
        """Give a command."""
        return CliRunner().invoke(main, [command, *arguments, "--kernel", self.target], input=stdin)

    def token(self) -> str:
        """A resume token for `approval`."""
        return str(asyncio.run(self.kernel.resume_token(self.run, "approval")))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A kernel in memory, in the current folder."""
    name = f"answer_example_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield Shop(name)
    sys.modules.pop(name, None)


def test_a_step_is_answered(shop: Shop) -> None:
    """People get a line, programs an object; a part of the run's id will do; without a payload it is null."""
    told = shop.call("signal", shop.run[-8:], "approval", '{"approved": true}', "--key", "k")
    again = shop.call("signal", "latest", "approval", '{"approved": true}', "--key", "k")
    shown = json.loads(shop.call("signal", shop.run, "nothing", "--json").stdout)

    assert told.stdout == f"run {shop.run}, step approval: the answer is kept until the step waits for it\n"
    assert again.stdout == f"run {shop.run}, step approval: answered before, in the same way\n"
    assert shown == {"run": shop.run, "step": "nothing", "fate": "kept", "repeated": False}


def test_a_token_answers(shop: Shop, tmp_path: Path) -> None:
    """From the command line or from stdin, with a payload from a file."""
    token = shop.token()
    (tmp_path / "answer.json").write_text('{"approved": false}')
    told = shop.call("resume", "-", "@answer.json", stdin=f"{token}\n")
    again = shop.call("resume", token, '{"approved": false}', "--json")
    other = shop.call("resume", token, '{"approved": true}')
    mistyped = shop.call("signal", shop.run, "aproval", "{}")

    assert told.exit_code == 0
    assert told.stdout == f"run {shop.run}, step approval: the answer is kept until the step waits for it\n"
    assert json.loads(again.stdout)["repeated"]
    assert other.exit_code == 2
    assert "was sent another payload with that resume token before" in other.stderr
    assert "token:" not in other.stderr
    assert "there is no step 'aproval'; did you mean 'approval'?" in mistyped.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("signal", "latest", "approval", "yes"), "PAYLOAD"),
        (("signal", "latest", "approval", '{"approved": 1}'), "$.approved"),
        (("signal", "latest", "close", "{}"), "approval"),
        (("signal", "latest", "aproval", "{}"), "approval"),
        (("signal", "ffffffff", "approval", "{}"), "ffffffff"),
        (("signal", "latest", "approval", "@nowhere.json"), "nowhere.json"),
        (("resume", "no-token", "{}"), "token"),
        (("resume", "-", "-"), "stdin"),
    ],
)
def test_what_is_wrong_is_said(shop: Shop, arguments: tuple[str, ...], problem: str) -> None:
    """The exit code says that trying the same again cannot help."""
    told = shop.call(*arguments, stdin="")

    assert told.exit_code == 2
    assert problem in told.output
