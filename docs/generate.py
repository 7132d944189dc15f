"""Writes the reference pages that follow from the code: `make docs`. A test compares them with what is committed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from fairlead.hosts.cli import main as program
from fairlead.kernel.definition.options import OPTIONS, Option, Scope
from fairlead.kernel.transitions import RUN_TRANSITIONS, STEP_TRANSITIONS, TASK_TRANSITIONS
from fairlead.ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK, RunStatus, StepStatus, TaskStatus

REFERENCE = Path(__file__).parent / "reference"

HELP_WIDTH = 100

Table = Mapping[tuple[Any, Any], Any]


def options_page() -> str:
    """Every option of flows, steps and maps."""
    rows = [_row(name, option) for name, option in OPTIONS.items()]
    return "\n".join(
        [
            *_head("Options", "kernel/definition/options.py"),
            "A step's option wins over its flow's, which wins over the default. Durations are `timedelta`s or seconds;",
            "their defaults are seconds.",
            "",
            "| option | meaning | values | default | of |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def statuses_page() -> str:
    """The statuses of runs, steps and tasks, and every way from one to another."""
    return "\n".join(
        [
            *_head("Statuses", "kernel/transitions.py"),
            "A status changes as these tables say, or not at all. Terminal statuses have no way out.",
            "",
            *_chart("Runs", RUN_TRANSITIONS, RunStatus.PENDING, RunStatus, TERMINAL_RUN),
            *_chart("Steps", STEP_TRANSITIONS, StepStatus.CREATED, StepStatus, TERMINAL_STEP),
            "A map over an empty array completes from `created`, without ever running.",
            "",
            *_chart("Tasks", TASK_TRANSITIONS, TaskStatus.QUEUED, TaskStatus, TERMINAL_TASK),
            "A task can also be born `running`: handed over to the host that made its step ready.",
            "",
        ]
    )


def cli_page() -> str:
    """The help of every command."""
    context = _context(program, None, "fairlead")
    sections = [line for each in _commands(context) for line in _help(each)]
    return "\n".join([*_head("Command line", "hosts/cli"), *sections])


PAGES: Mapping[str, Callable[[], str]] = {"options.md": options_page, "statuses.md": statuses_page, "cli.md": cli_page}
"""What makes each page of `docs/reference` that nobody writes by hand."""


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"docs/reference/{name}\n")


def _head(title: str, source: str) -> list[str]:
    return [f"# {title}", "", f"<!-- Written by `make docs` from {source}; do not edit. -->", ""]


def _row(name: str, option: Option) -> str:
    default = "" if option.default in (None, ()) else f"`{option.default}`"
    scopes = ", ".join(scope.value for scope in Scope if scope in option.scopes)
    return f"| `{name}` | {option.meaning} | {option.bounds} | {default} | {scopes} |"


def _chart(
    title: str, table: Table, first: StrEnum, statuses: type[StrEnum], terminal: frozenset[Any]
) -> Iterator[str]:
    reached = {first, *table.values()}
    yield from (f"## {title}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}")
    yield from (f"    {before} --> {after}: {trigger}" for (before, trigger), after in table.items())
    yield from (f"    {status} --> [*]" for status in statuses if status in terminal & reached)
    yield from ("```", "", "| from | trigger | to |", "|---|---|---|")
    yield from (f"| {before} | {trigger} | {after} |" for (before, trigger), after in table.items())
    yield ""
    unused = [f"`{status}`" for status in statuses if status not in reached]
    if unused:
        yield from (f"Not caused by anything yet: {', '.join(unused)}.", "")


def _commands(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it, each in its context."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from _commands(_context(command, context, name))


def _context(command: click.Command, parent: click.Context | None, name: str) -> click.Context:
    settings: dict[str, Any] = {
        **command.context_settings,
        "terminal_width": HELP_WIDTH,
        "max_content_width": HELP_WIDTH,
    }
    return click.Context(command, parent, name, color=False, **settings)


def _help(context: click.Context) -> Iterator[str]:
    lines = (line.rstrip() for line in context.command.get_help(context).splitlines())
    yield from (f"## {context.command_path}", "", "```", *lines, "```", "")


if __name__ == "__main__":
    main()
