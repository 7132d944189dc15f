"""Completion in shells: the script, and what it offers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from fairlead.hosts.cli import main
from fairlead.hosts.cli.completion import INSTALLED, PROGRAM, VARIABLE, used_shell
from fairlead.hosts.cli.program import COMMANDS

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")


def offered(*words: str) -> list[str]:
    """What is offered for the last word of a command line."""
    *before, incomplete = words
    return [each.value for each in ShellComplete(main, {}, PROGRAM, VARIABLE).get_completions(before, incomplete)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("",), list(COMMANDS)),
        (("schedules", "re"), ["resume", "remove"]),
        (("runs", "re"), ["rerun", "retry"]),
        (("flows", "gr"), ["graph"]),
        (("runs", "list", "--status", "c"), ["completed", "cancelled"]),
        (("flows", "graph", "--format", ""), ["terminal", "svg", "mermaid"]),
        (("start", "greet", "--wa"), ["--wait", "--watch"]),
        (("demo", "--cra"), ["--crash"]),
    ],
)
def test_commands_options_and_values_are_completed(words: tuple[str, ...], expected: list[str]) -> None:
    """Whatever has a name."""
    assert offered(*words) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish", pytest.param("bash", marks=needs_bash)])
def test_the_script_says_what_to_do_with_it(shell: str) -> None:
    """At its end, as a comment, so that it may be taken as it is."""
    result = CliRunner().invoke(main, ["completion", shell])
    document = json.loads(CliRunner().invoke(main, ["completion", shell, "--json"]).output)

    assert result.exit_code == 0
    assert VARIABLE in result.output
    assert result.output.splitlines()[-1] == f"# {INSTALLED[shell]}"
    assert document["install"] == INSTALLED[shell]
    assert document["script"].strip() in result.output


@needs_bash
def test_bash_takes_the_script(tmp_path: Path) -> None:
    """A real bash completes with it."""
    program = tmp_path / "fairlead"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fairlead.hosts.cli "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(fairlead completion bash)"; COMP_WORDS=(fairlead runs wa); COMP_CWORD=2;'
        ' _fairlead_completion fairlead; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    found = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=60
    )

    assert (found.stdout, found.stderr) == ("watch\n", "")


def test_the_shell_that_is_used_is_meant() -> None:
    """By the variable that login sets; where there is none, the shell must be named."""
    runner = CliRunner()
    fish = runner.invoke(main, ["completion"], env={"SHELL": "/usr/bin/fish"})
    unknown = runner.invoke(main, ["completion"], env={"SHELL": "/bin/dash"})

    assert fish.output.splitlines()[-1] == f"# {INSTALLED['fish']}"
    assert (unknown.exit_code, used_shell({})) == (2, None)
    assert "your shell is none of bash, zsh, fish (by the variable SHELL); name one" in unknown.stderr
