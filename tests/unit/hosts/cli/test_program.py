"""The command line as a whole: help that teaches, names that are nearly right, nothing imported too early."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

from fairlead.hosts.cli import main
from fairlead.hosts.cli.program import COMMANDS


def commands(group: click.Group, *path: str) -> list[list[str]]:
    """The words of every command that can be called."""
    context = click.Context(group)
    found: list[list[str]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = [*path, name]
        found += commands(command, *words) if isinstance(command, click.Group) else [words]
    return found


def test_the_version_is_that_of_the_distribution() -> None:
    """`--version` tells what is installed."""
    result = CliRunner().invoke(main, ["--version"])

    assert (result.exit_code, result.output) == (0, f"fairlead {version('fairlead')}\n")


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_teaches_itself(words: list[str]) -> None:
    """Each help text has an example that begins with the command, and the options that all have."""
    result = CliRunner().invoke(main, [*words, "--help"])

    assert result.exit_code == 0
    assert f"\n  {' '.join(['fairlead', *words])}" in result.output or f"(fairlead {' '.join(words)})" in result.output
    assert "--json" in result.output
    assert "--debug" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["strat"], "there is no command 'strat'; did you mean 'start'?"),
        (["runs", "lst"], "there is no command 'lst'; did you mean 'list'?"),
        (["zzz"], f"there are {', '.join(COMMANDS)}"),
        (["runs", "list", "--statsu", "failed"], "No such option: --statsu"),
        (["runs", "list", "--status", "done"], "'done' is not one of"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(words: list[str], said: str) -> None:
    """Exit code 2, and the nearest name."""
    result = CliRunner().invoke(main, words)

    assert result.exit_code == 2
    assert said in result.stderr.replace("No such option '--statsu'", "No such option: --statsu")


def test_help_imports_neither_rich_nor_a_driver() -> None:
    """What only some commands need is imported by them."""
    program = (
        "import sys; from fairlead.hosts.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('rich', 'psycopg', 'sqlalchemy', 'fairlead.hosts.node') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == "[]"
    assert all(f"  {name} " in found.stdout for name in COMMANDS)


def test_no_option_is_taken_and_ignored() -> None:
    """A list of runs reads no payloads, so it has nothing to do with where large ones are."""
    result = CliRunner().invoke(main, ["runs", "list", "--blobs", "file:///nowhere"])

    assert result.exit_code == 2
    assert "'--blobs'" in result.stderr.replace("No such option: --blobs", "No such option '--blobs'")
