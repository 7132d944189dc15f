"""How failures are told: exit codes by family, one sentence, a traceback only when asked for."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner, Result

from fairlead.hosts.cli.command import FairleadCommand, common_options
from fairlead.hosts.cli.exit_codes import ExitCode, exit_code_of
from fairlead.kernel.errors import InvalidInput, RunDidNotComplete, UnknownFlow, WaitTimeout
from fairlead.ports.errors import AdapterError, CommitUnknown, CorruptionError, FairleadError, UsageError

FAILED = RunDidNotComplete(run_id="r", status="failed", reason="handler_failed", message="ValueError: no")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (InvalidInput((("$", "x"),)), 2),
        (AdapterError("x"), 1),
        (CommitUnknown("x"), 1),
        (OSError(28, "No space left on device"), 1),
        (CorruptionError("x"), 70),
        (FairleadError("x"), 70),
        (ValueError("x"), 70),
        (FAILED, 3),
        (WaitTimeout(run_id="r", waited_s=1, status="running"), 3),
    ],
)
def test_the_exit_code_tells_whose_fault_it_was(error: Exception, code: int) -> None:
    """Usage, the world, the run, ours: each family has its code."""
    assert exit_code_of(error) == code


def run_raising(error: BaseException, *arguments: str) -> Result:
    @click.command(cls=FairleadCommand)
    @common_options
    def command(as_json: bool) -> None:
        raise error

    return CliRunner().invoke(command, arguments)


def test_a_failure_is_one_sentence_on_stderr() -> None:
    """Nothing on stdout, no traceback."""
    result = run_raising(AdapterError("the database is away; start it"))

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: the database is away; start it\n")


def test_a_program_reads_a_failure_as_json() -> None:
    """With `--json` the failure is one object on stderr."""
    result = run_raising(FAILED, "--json")

    assert json.loads(result.stderr) == {
        "error": "RunDidNotComplete",
        "message": "run r is failed (handler_failed): ValueError: no",
        "exit_code": 3,
    }
    assert (result.exit_code, result.stdout) == (3, "")


def test_debug_shows_where_it_came_from() -> None:
    """The traceback, then the sentence, and the same exit code."""
    result = run_raising(UsageError("wrong"), "--debug")

    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert result.stderr.endswith("Error: wrong\n")


def test_an_unforeseen_error_has_no_traceback_either() -> None:
    """It is told to be unexpected, with the way to see more."""
    result = run_raising(ZeroDivisionError("division by zero"))

    assert result.exit_code == ExitCode.DEFECT
    assert result.stderr == (
        "Error: unexpected ZeroDivisionError: division by zero; "
        "run the command again with --debug to see where it came from\n"
    )


def test_of_several_errors_the_first_is_told() -> None:
    """A group, however nested, ends as its first error does."""
    group = ExceptionGroup("some", [ExceptionGroup("more", [AdapterError("first")]), UsageError("second")])
    result = run_raising(group)

    assert (result.exit_code, result.stderr) == (1, "Error: first\n")


def test_an_unknown_flow_is_answered_with_the_nearest() -> None:
    """The flows that there are, and the one that was probably meant."""
    known = ("fulfil_order (version 1)", "nightly (version 3)")

    assert "did you mean 'fulfil_order'?" in run_raising(UnknownFlow("fulfill_order", None, known)).stderr
    assert "did you mean" not in run_raising(UnknownFlow("zzz", None, known)).stderr
    assert "did you mean" not in run_raising(UnknownFlow("nightly", "4", known)).stderr


def test_a_file_that_fails_is_named() -> None:
    """The system's words, with the file's name."""
    result = run_raising(FileNotFoundError(2, "No such file or directory", "a.json"))

    assert (result.exit_code, result.stderr) == (1, "Error: a.json: No such file or directory\n")


def test_ctrl_c_is_no_error() -> None:
    """Nothing is said, and the shell sees the code of an interruption."""
    result = run_raising(KeyboardInterrupt())

    assert (result.exit_code, result.output) == (130, "")


def test_a_long_argument_is_told_in_short() -> None:
    """A file that was passed in the place of a name does not fill the screen."""
    long = "a very " * 1000
    told = run_raising(UsageError(f"there is no {long!r}; did you mean {'short'!r}?")).stderr

    assert told == f"Error: there is no '{long[:200]}…'; did you mean 'short'?\n"
