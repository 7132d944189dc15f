"""The page of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from fairlead.hosts.cli import main as program

from .page import head

HELP_WIDTH = 100


def cli_page() -> str:
    """The help of every command."""
    context = _context(program, None, "fairlead")
    sections = [line for each in _commands(context) for line in _help(each)]
    return "\n".join([*head("Command line", "hosts/cli"), *sections])


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
