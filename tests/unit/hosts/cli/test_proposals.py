"""Commands that messages propose: each is one that there is, and does what it says for whoever typed another before."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fairlead.hosts.cli.program import COMMANDS, main
from fairlead.hosts.cli.proposals import completed
from fairlead.kernel.proposals import KERNEL, proposed

ROOT = Path(__file__).parents[4]

PROPOSED = re.compile(r"`(fairlead [^`]*)`")

NAMED = re.compile(rf"fairlead (?:{'|'.join(COMMANDS)})\b")

NO_MESSAGES = ("kernel/proposals.py", "hosts/cli/proposals.py", "hosts/cli/completion.py")
"""Two that write down how commands are proposed, and one that prints what is for the shell's own files."""

HOLE = "x1"
"""Stands in a text for what it is told about."""


def parse(typed: str) -> click.Context:
    """The context that a line makes; raises where the command line refuses it."""
    program, *words = shlex.split(typed)
    assert program == "fairlead"
    command: click.Command = main
    ctx: click.Context | None = None
    while isinstance(command, click.Group):
        ctx = click.Context(command, parent=ctx, **command.context_settings)
        _, found, words = command.resolve_command(ctx, words)
        assert found is not None
        command = found
    return command.make_context(command.name, words, parent=ctx)


def texts(source: str) -> Iterator[str]:
    """The text of all strings but docstrings, and the commands that are made of words."""
    tree = ast.parse(source)
    within: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            within.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            within.update(id(each) for each in node.values)
            yield "".join(map(piece, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within:
            yield node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == proposed.__name__:
            yield proposed(*(word(each) for each in node.args if not isinstance(each, ast.Starred)))


def piece(node: ast.expr) -> str:
    """A part of a text that is formatted."""
    return str(node.value) if isinstance(node, ast.Constant) else HOLE


def word(node: ast.expr) -> str:
    """A word of a command."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return KERNEL if isinstance(node, ast.Name) and node.id == "KERNEL" else HOLE


def written() -> Iterator[tuple[str, str]]:
    """Every text that code outside of tests may print, with its file."""
    for folder in ("kernel", "ports", "adapters", "hosts"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            if name not in NO_MESSAGES:
                yield from ((name, text) for text in texts(file.read_text(encoding="utf-8")))


LINES = sorted({(name, line) for name, text in written() for line in PROPOSED.findall(text)})


@pytest.mark.parametrize(("file", "line"), LINES)
def test_every_command_that_is_proposed_can_be_typed(file: str, line: str) -> None:
    """The command exists, has those options, and lacks none that it needs."""
    assert parse(line).command.name, file


def test_commands_are_found_where_they_are_proposed() -> None:
    """The test above is about something: also about what is made of words."""
    assert ("kernel/explaining.py", f"fairlead runs retry {HOLE} --kernel {KERNEL}") in LINES
    assert len(LINES) > 20


def test_a_command_that_is_proposed_stands_in_backticks() -> None:
    """The command line completes no other."""
    bare = [(name, text) for name, text in written() if NAMED.search(PROPOSED.sub("", text))]

    assert bare == []


def told(*words: str, text: str) -> str:
    """A text as a command prints it that was called with these words."""
    with parse(shlex.join(["fairlead", *words])):
        return completed(text)


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (("why", "latest"), "do `fairlead runs list` now", "do `fairlead runs list` now"),
        (
            ("why", "latest", "--kernel", "shop:kernel", "--schema", "jobs", "--data-folder", "my data"),
            "`fairlead worker MODULE:KERNEL --queue mail`; `fairlead doctor`",
            "`fairlead worker shop:kernel --queue mail --data-folder 'my data' --schema jobs`; "
            "`fairlead doctor --data-folder 'my data' --schema jobs`",
        ),
        (
            ("doctor", "--blobs", "file:///blobs", "--database", "postgresql://me@there/app"),
            "`fairlead outbox replay --sink a`, `fairlead start x --kernel MODULE:KERNEL`",
            "`fairlead outbox replay --sink a --database postgresql://me@there/app`, "
            "`fairlead start x --kernel MODULE:KERNEL --database postgresql://me@there/app --blobs file:///blobs`",
        ),
        (
            ("why", "latest", "--database", "postgresql://me:secret@there/app"),
            "`fairlead runs list`",
            "`fairlead runs list --database 'postgresql://me:***@there/app'`",
        ),
        (
            ("why", "latest", "--database", "postgresql://there/app?password=secret"),
            "`fairlead runs list`",
            "`fairlead runs list --database 'postgresql://there/app?password=***'`",
        ),
        (("why", "latest", "--schema", "a"), "`fairlead runs list --schema b`", "`fairlead runs list --schema b`"),
        (
            ("why", "latest", "--schema", "a"),
            "`fairlead nonsense`, `fairlead runs`",
            "`fairlead nonsense`, `fairlead runs`",
        ),
    ],
)
def test_a_proposal_is_completed_with_what_the_caller_gave(words: tuple[str, ...], text: str, expected: str) -> None:
    """Only with options that the proposed command has, and with no password."""
    assert told(*words, text=text) == expected


def test_without_a_command_nothing_is_completed() -> None:
    """A library user reads the bare command."""
    assert completed("`fairlead runs list`") == "`fairlead runs list`"
