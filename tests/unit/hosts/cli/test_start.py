"""`fairlead start` against a kernel in memory: where input comes from, and what is refused before anything starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairlead.hosts.cli import idleness, main, watching

SOURCE = """
from attrs import frozen
from fairlead.adapters.memory import memory_ports
from fairlead.kernel import Flow, Kernel

@frozen
class Tone:
    loud: bool = False

greet = Flow("greet", version=1)

@greet.step
def hello(input: str, config: Tone) -> str:
    return f"hello {input}"

kernel = Kernel(flows=[greet], ports=memory_ports())
"""

_numbers = count()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A kernel in memory, in the current folder."""
    name = f"start_example_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield f"{name}:kernel"
    sys.modules.pop(name, None)


def start(target: str, *arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["start", "greet", "--kernel", target, *arguments], input=stdin)


def test_a_run_is_started(target: str) -> None:
    """People get a line, programs an object with stable keys."""
    shown = start(target, "--input", '"you"', "--key", "k", "--priority", "7").stdout
    again = json.loads(start(target, "--input", '"you"', "--key", "k", "--json").stdout)

    assert shown == f"run {again['id']} of greet (version 1): started, pending\n"
    assert again == {"id": again["id"], "flow": "greet", "version": "1", "created": False, "status": "pending"}


def test_input_comes_from_the_line_a_file_or_stdin(target: str, tmp_path: Path) -> None:
    """All three are the same input, so the key stays good."""
    (tmp_path / "input.json").write_text('"größer"')
    sources = [("--input", '"größer"'), ("--input", "@input.json"), ("--input", "-")]

    answers = [
        json.loads(start(target, *source, "--key", "k", "--json", stdin='"größer"').stdout) for source in sources
    ]

    assert [answer["created"] for answer in answers] == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", '{"a":'], "Error: --input: $: is not JSON"),
        (["--input", "@missing.json"], "Error: --input: the file missing.json cannot be read: No such file"),
        (["--input", "@."], "Error: --input: the file . cannot be read: Is a directory"),
        (["--input", '{"a": 1, "a": 2}'], "Error: --input: $.a: "),
        (["--input", '"\\u0000"'], "Error: --input: $: "),
        (["--input", "7"], "Error: start of flow 'greet' (version 1): $: Expected `str`, got `int`"),
        ([], "Error: start of flow 'greet' (version 1): $: Expected `str`, got `null`"),
        (["--input", '"x"', "--config", "[]"], "Error: --config: $: expected an object: {step: {field: value}}"),
        (["--input", '"x"', "--config", '{"helo": {}}'], "config $.helo: there is no such step; did you mean 'hello'?"),
        (["--input", '"x"', "--config", '{"hello": {"loud": 3}}'], "config $.hello.loud: "),
        (["--input", '"x"', "--key", ""], "key: must be text of 1 to 512 characters"),
        (["--input", '"x"', "--priority", "99999"], "priority: must be an int from -32767 to 32767"),
        (["--input", "-", "--config", "-"], "--input and --config cannot both be read from stdin"),
        (["--input", '"x"', "--timeout", "3"], "--timeout says how long --wait or --watch waits; give one of them too"),
        (["--input", '"x"', "--watch", "--json"], "--watch is for people; with --json give --wait"),
        (["--input", '"x"', "--database", "postgresql://x"], "brings its own database"),
    ],
)
def test_a_wrong_start_is_refused(target: str, arguments: list[str], said: str) -> None:
    """One sentence, exit code 2."""
    result = start(target, *arguments)

    assert said in result.stderr
    assert (result.exit_code, result.stdout) == (2, "")


def test_input_that_is_no_text_is_refused(target: str) -> None:
    """Bytes that are not UTF-8 are no JSON."""
    result = start(target, "--input", "-", stdin=b'"\xff"')

    assert result.exit_code == 2
    assert "--input: $: " in result.stderr


def test_the_same_key_with_another_input_is_a_conflict(target: str) -> None:
    """The run that holds the key is named."""
    first = json.loads(start(target, "--input", '"x"', "--key", "k", "--json").stdout)
    result = start(target, "--input", '"y"', "--key", "k")

    assert result.exit_code == 2
    assert first["id"] in result.stderr


def test_waiting_ends_in_time(target: str) -> None:
    """Nobody works on it: exit code 3, and the hint to look for a host."""
    result = start(target, "--input", '"x"', "--wait", "--timeout", "0.01")

    assert result.exit_code == 3
    assert "is still pending after 0.01 s; is a host that serves its flow running?" in result.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_waiting_says_once_that_nobody_works(target: str, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    """On stderr, as the rest of what is said there: a line, or an object for programs."""
    monkeypatch.setattr(idleness, "IDLE_AFTER_S", 0)
    monkeypatch.setattr(idleness, "ASK_EVERY_S", 0)
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0)
    result = start(target, "--input", '"x"', "--wait", "--timeout", "0.2", *(["--json"] if as_json else []))

    told = [json.loads(line).get("message") if as_json else line for line in result.stderr.splitlines()]
    assert result.stdout == ""
    assert len(told) == 2
    assert told[0].startswith("no worker has claimed it for ")
    assert told[0].endswith("is one running that has flow 'greet' in version 1?")


def test_an_unknown_flow_is_refused(target: str) -> None:
    """The flows of the kernel, and the nearest."""
    result = CliRunner().invoke(main, ["start", "gret", "--kernel", target])

    assert result.exit_code == 2
    assert "no flow 'gret'; it has greet (version 1); did you mean 'greet'?" in result.stderr


def test_a_start_that_is_put_off_to_the_past_says_so(target: str) -> None:
    """It starts at once; one that is put off says when."""
    past = start(target, "--input", '"you"', "--at", "2020-05-04T12:30").stdout
    later = start(target, "--input", '"you"', "--at", "2990-05-04T12:30").stdout

    assert ": starts at once, since 2020-05-04 12:30:00Z is past: a worker that has the flow does it (" in past
    assert ": starts at 2990-05-04 12:30:00Z (" in later
