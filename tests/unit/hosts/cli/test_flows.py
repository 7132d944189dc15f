"""`fairlead flows`: lists, words, drawings, schemas and checks of what a module holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fairlead.hosts.cli import main
from fairlead.hosts.drawing import chart_of, draw_mermaid, draw_svg, draw_text

SHOP = """
from datetime import timedelta
from typing import Literal
from attrs import frozen
from fairlead.adapters.memory import memory_ports
from fairlead.kernel import Flow, Kernel, Ports, Resource

@frozen
class Order:
    customer: str
    lines: list[str]
    express: bool = False

@frozen
class Payment:
    status: Literal["paid", "declined"]

@frozen
class Shipping:
    carrier: str = "post"

fulfil = Flow("fulfil_order", version=3, input=Order, input_name="order", max_attempts=5)

@fulfil.map(over="order.lines", tolerate_failures=0.1, max_concurrency=10, timeout=timedelta(seconds=5))
def reserve(item: str) -> int: ...

@fulfil.step(non_retryable=(KeyError,))
def charge(order: Order, reserve: list[int | None]) -> Payment: ...

paid = fulfil.branch(when={"charge": {"status": "paid"}})

@paid.step(when={"order": {"express": True}}, on_exhausted="skip")
def ship(order: Order, config: Shipping, van: Resource[object]) -> str: ...

nightly = Flow("nightly", version=1)
newer = Flow("nightly", version=2)

for each in (nightly, newer):
    @each.step(slug="report")
    def report(input: int) -> int: ...

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[fulfil, nightly, newer], ports=ports)

ready = Kernel(flows=[fulfil], ports=memory_ports())
"""

MAIL = """
from datetime import datetime, timedelta
from attrs import frozen
from fairlead.kernel import Flow, Resource, Suspend

@frozen
class Mail:
    text: str
    send_at: datetime | None = None

@frozen
class Approval:
    approved: bool

@frozen
class Job:
    id: str

@frozen
class Settings:
    retries: int = 3

limits = {"run_timeout": timedelta(days=7), "retention": timedelta(days=30)}
send = Flow("send_mail", version=1, input=Mail, input_name="mail", max_attempts=5, **limits)
approval = send.signal("approval", Approval, timeout=timedelta(days=3), on_timeout="skip")
evening = send.sleep("evening", until="mail.send_at", after=[approval])

@send.step(requires=[approval, evening])
def deliver(mail: Mail, server: Resource[object]) -> str | Suspend[Job]: ...

@send.check(deliver)
def is_delivered(state: Job, approval: Approval, config: Settings, server: Resource[object]) -> str: ...

send.sleep("cool_down", 5400, after=[deliver])
"""

BROKEN = """\
from functools import partial
from fairlead.kernel import Flow

broken = Flow("broken", version=1)

@broken.step
def first(inptu: int) -> int: ...

@broken.step
def second(first: int) -> int: ...

@broken.step(max_attempts=0)
def third(input: int) -> int: ...

broken.step(slug="fourth", timeout=-1)(partial(third))
"""

HALF = """\
from fairlead.kernel import Flow

half = Flow("half", version=1)

@half.step
def first(inptu: int) -> int: ...

half.branch(when={"nope": 1})
half.branch(when={"first": 1})

Flow("unlike a slug", version=1)

@half.step
def never_reached(inptu: int) -> int: ...
"""

Call = Callable[..., Result]


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls `fairlead flows` in a folder with modules of its own."""
    (tmp_path / "shop_flows.py").write_text(SHOP)
    (tmp_path / "mail_flows.py").write_text(MAIL)
    (tmp_path / "broken_flows.py").write_text(BROKEN)
    (tmp_path / "half_flows.py").write_text(HALF)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for module in ("shop_flows", "mail_flows", "broken_flows", "half_flows", "empty_flows"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return lambda *arguments: CliRunner().invoke(main, ["flows", *arguments])


def shop() -> Any:
    """The module as it was imported by the command."""
    return sys.modules["shop_flows"]


def test_flows_are_listed(flows: Call) -> None:
    """Of a kernel, of what makes one from ports, and of a flow itself; for people and for programs."""
    table = flows("list", "--kernel", "shop_flows:kernel").output.splitlines()
    document = json.loads(flows("list", "--kernel", "shop_flows:kernel", "--json").output)

    assert [line.split()[:3] for line in table[1:]] == [
        ["fulfil_order", "3", "3"],
        ["nightly", "1", "1"],
        ["nightly", "2", "1"],
    ]
    assert document["flows"][0] == {
        "flow": "fulfil_order",
        "version": "3",
        "steps": 3,
        "fingerprint": shop().fulfil.shape.fingerprint,
    }
    assert len(flows("list", "--kernel", "shop_flows:ready").output.splitlines()) == 2
    assert flows("list", "--kernel", "shop_flows:fulfil").output == flows("list", "--kernel", "shop_flows:ready").output


def test_a_flow_is_told_in_words(flows: Call) -> None:
    """Input fields, then what each step works over, reads, waits for, gives and asks for; and what is not default."""
    said = flows("show", "fulfil_order", "--kernel", "shop_flows:kernel").output

    assert (
        said
        == f"""\
flow fulfil_order (version 3)
  fingerprint  {shop().fulfil.shape.fingerprint}
  input        order: Order
               customer  str
               lines     list[str]
               express   bool, has a default

map reserve
  each of      order.lines
  gives        int
  policies     10 % may fail
  options      max_attempts=5, timeout=5, max_concurrency=10

step charge
  reads        order, reserve
  gives        Payment
  options      max_attempts=5, non_retryable=(KeyError)

step ship
  in branch    when charge.status = "paid"
  runs         when order.express = true
  reads        order
  after        charge
  gives        str
  config       Shipping (carrier?)
  resources    van
  policies     failed: skipped
  options      max_attempts=5
"""
    )


def test_a_flow_is_told_to_programs(flows: Call) -> None:
    """Conditions both in words and as patterns, options as JSON."""
    document = json.loads(flows("show", "--kernel", "shop_flows:fulfil", "--json").output)
    ship = document["steps"][2]

    assert document["input"]["fields"][2] == {"name": "express", "type": "bool", "required": False}
    assert [step["dependencies"] for step in document["steps"]] == [[], ["reserve"], ["charge"]]
    assert ship["branches"] == [
        {
            "words": 'when charge.status = "paid"',
            "when": {"charge": {"status": "paid"}},
            "unless": {},
            "negated": False,
        }
    ]
    assert ship["condition"]["when"] == {"input": {"express": True}}
    assert ship["options"] == {"max_attempts": 5, "on_exhausted": "skip"}
    assert document["steps"][0]["options"]["timeout"] == 5


def test_a_flow_that_waits_is_told_in_words(flows: Call) -> None:
    """How long signals and sleeps last and what follows, what a step keeps for which check, and the limit of a run."""
    said = flows("show", "--kernel", "mail_flows:send").output

    assert (
        said.partition("input        ")[2]
        == """\
mail: Mail
               text     str
               send_at  datetime | None, has a default
  run timeout  7 d, then a run fails
  retention    30 d after a run's end, then it is removed

signal approval
  gives        Approval
  policies     within 3 d, else skipped

sleep evening
  sleeps       until mail.send_at
  after        approval

step deliver
  reads        mail, approval
  after        evening
  gives        str
  suspends     keeps Job for is_delivered
  config       Settings (retries?)
  resources    server
  policies     requires approval, evening
  options      max_attempts=5

sleep cool_down
  sleeps       for 1 h 30 min
  after        deliver
"""
    )


def test_a_flow_that_waits_is_told_to_programs(flows: Call) -> None:
    """Durations in seconds, and what answers and checks are made of."""
    document = json.loads(flows("show", "--kernel", "mail_flows:send", "--json").output)
    approval, evening, deliver, cool_down = document["steps"]
    schema = json.loads(flows("schema", "--kernel", "mail_flows:send").output)

    assert (document["run_timeout"], document["retention"]) == (7 * 86_400, 30 * 86_400)
    assert approval["options"] == {"timeout": 3 * 86_400, "on_timeout": "skip"}
    assert [(step["kind"], step["lasts"], step["until"]) for step in (approval, evening, cool_down)] == [
        ("signal", None, None),
        ("sleep", None, "mail.send_at"),
        ("sleep", 5400, None),
    ]
    assert (deliver["state"], deliver["check"], deliver["config"]) == ("Job", "is_delivered", "Settings")
    assert (approval["state"], approval["check"], approval["resources"]) == (None, None, [])
    assert schema["steps"]["approval"]["kind"] == "signal"
    assert schema["steps"]["approval"]["output"]["$defs"]["Approval"]["required"] == ["approved"]
    assert flows("check", "--kernel", "mail_flows:send").exit_code == 0


def test_the_newest_version_is_meant_unless_one_is_named(flows: Call) -> None:
    """As where a run is started."""
    arguments = ("show", "nightly", "--kernel", "shop_flows:kernel", "--json")

    assert json.loads(flows(*arguments).output)["version"] == "2"
    assert json.loads(flows(*arguments, "--version", "1").output)["version"] == "1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "--kernel", "shop_flows:kernel"), "has 2 flows, fulfil_order, nightly; name the one you mean"),
        (("show", "fulfill_order", "--kernel", "shop_flows:kernel"), "did you mean 'fulfil_order'?"),
        (("show", "nightly", "--version", "7", "--kernel", "shop_flows:kernel"), "no version '7' of flow 'nightly'"),
        (("list", "--kernel", "shop_flows:kernl"), "did you mean 'kernel'?"),
        (("list", "--kernel", "shop_flows:Order"), "it wants 'customer', 'lines'"),
        (("list", "--kernel", "shop_flow:kernel"), "did you mean 'shop_flows'?"),
        (("list", "--kernel", "broken_flows:broken"), "did you mean 'input'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(flows: Call, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2 and one sentence."""
    result = flows(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "draw"),
    [
        ((), draw_text),
        (("--format", "terminal"), draw_text),
        (("--format", "svg"), draw_svg),
        (("--format", "mermaid"), draw_mermaid),
    ],
)
def test_a_flow_is_drawn(flows: Call, arguments: tuple[str, ...], draw: Callable[[Any], str]) -> None:
    """To stdout, in the form that is asked for, without colours where there is no terminal."""
    drawn = flows("graph", "--kernel", "shop_flows:fulfil", *arguments)

    assert drawn.exit_code == 0
    assert drawn.output == draw(chart_of(shop().fulfil))


@pytest.mark.parametrize(
    ("name", "draw"),
    [("flow.svg", draw_svg), ("flow.MMD", draw_mermaid), ("flow.txt", draw_text), ("flow", draw_text)],
)
def test_a_drawing_is_written_to_a_file(flows: Call, name: str, draw: Callable[[Any], str]) -> None:
    """The file's name says the form."""
    said = flows("graph", "--kernel", "shop_flows:fulfil", "--output", name)

    assert said.output.startswith(f"{name}: ")
    assert Path(name).read_text(encoding="utf-8") == draw(chart_of(shop().fulfil))


def test_a_file_that_no_drawing_can_be_is_refused(flows: Call) -> None:
    """Nothing is written; with --format the name may be any."""
    refused = flows("graph", "--kernel", "shop_flows:fulfil", "--output", "flow.png")
    there = Path("flow.png").exists()
    forced = flows("graph", "--kernel", "shop_flows:fulfil", "--output", "flow.png", "--format", "svg")

    assert (refused.exit_code, there, forced.exit_code) == (2, False, 0)
    assert "a drawing cannot be a .png file; name one that ends in .svg (SVG), .mmd (Mermaid) or .txt" in refused.stderr


def test_a_drawing_for_programs(flows: Call) -> None:
    """The drawing as text, or where it was put."""
    there = json.loads(flows("graph", "--kernel", "shop_flows:fulfil", "--output", "a.svg", "--json").output)
    here = json.loads(flows("graph", "--kernel", "shop_flows:fulfil", "--format", "svg", "--json").output)

    assert there == {"flow": "fulfil_order", "format": "svg", "file": "a.svg"}
    assert here["drawing"] == Path("a.svg").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_named(flows: Call) -> None:
    """The world's fault: exit code 1."""
    result = flows("graph", "--kernel", "shop_flows:fulfil", "--output", "nowhere/a.svg")

    assert (result.exit_code, result.stderr) == (1, "Error: nowhere/a.svg: No such file or directory\n")


def test_types_are_printed_as_json_schema(flows: Call) -> None:
    """What the flow says of itself: over several lines, for people and files; for programs in one."""
    printed = flows("schema", "fulfil_order", "--kernel", "shop_flows:kernel").output
    line = flows("schema", "fulfil_order", "--kernel", "shop_flows:kernel", "--json").output
    document = json.loads(printed)

    assert printed.startswith('{\n  "flow": "fulfil_order",\n')
    assert (line.count("\n"), json.loads(line)) == (1, document)
    assert document == json.loads(json.dumps(shop().fulfil.json_schema()))
    assert document["steps"]["ship"]["config"]["$ref"] == "#/$defs/Shipping"


def test_flows_that_are_right_pass(flows: Call) -> None:
    """Exit code 0, and how many there are; a flow that is named twice is one."""
    result = flows("check", "--kernel", "shop_flows:kernel", "--kernel", "shop_flows:fulfil")

    assert (result.exit_code, result.output) == (0, "3 flows: all is well\n")


def test_every_error_is_told_with_its_place(flows: Call) -> None:
    """Of several modules; what merely follows from another error is not repeated. Exit code 2."""
    targets = ("broken_flows:broken", "nowhere:kernel", "shop_flows:ready")
    result = flows("check", *(word for target in targets for word in ("--kernel", target)))
    lines = result.stderr.splitlines()
    places = [line.partition(": ")[0] for line in lines]

    assert result.exit_code == 2
    assert places == ["broken_flows.py:6", "broken_flows.py:12", "broken_flows.py:15", "nowhere:kernel"]
    assert "flow 'broken', step 'first'" in lines[0]
    assert "'max_attempts' must be from 1 to 10000" in lines[1]
    assert "step 'fourth': option 'timeout'" in lines[2]
    assert "there is no module 'nowhere'" in lines[3]


def test_where_checking_has_to_stop_it_says_so(flows: Call) -> None:
    """A branch that is wrong is told with its place and does not stop it; a flow that cannot be made does."""
    lines = flows("check", "--kernel", "half_flows:half").stderr.splitlines()
    places = [line.partition(": ")[0] for line in lines]

    assert places == ["half_flows.py:5", "half_flows.py:8", "half_flows.py:11"]
    assert "when: 'nope' is neither the input nor an earlier step" in lines[1]
    assert lines[2].endswith("(checking stopped here)")


def test_what_one_target_makes_is_checked_for_another(flows: Call, tmp_path: Path) -> None:
    """Of one module, each named by itself: an error that sealing finds is told, and not with a line of ours."""
    (tmp_path / "empty_flows.py").write_text(
        "from fairlead.kernel import Flow\n"
        "one = Flow('one', version=1)\n"
        "@one.step\n"
        "def a() -> int: return 1\n"
        "two = Flow('two', version=1)\n"
    )
    result = flows("check", "--kernel", "empty_flows:one", "--kernel", "empty_flows:two")

    assert result.exit_code == 2
    assert result.stderr == "empty_flows:two: flow 'two': there are no steps; decorate a function with @flow.step\n"


def test_errors_are_told_to_programs(flows: Call) -> None:
    """On stdout, with file and line apart."""
    result = flows("check", "--kernel", "broken_flows:broken", "--json")
    document = json.loads(result.stdout)

    assert result.exit_code == 2
    assert document["flows"] == []
    assert [(each["file"], each["line"]) for each in document["problems"]] == [
        ("broken_flows.py", 6),
        ("broken_flows.py", 12),
        ("broken_flows.py", 15),
    ]
