"""The command line as a whole: which commands there are. Each is imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import click

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "demo",
        "worker": "worker",
        "start": "start",
        "runs": "runs",
        "schedules": "schedules",
        "deferred": "deferred",
        "workers": "workers",
        "signal": "answering",
        "resume": "answering",
        "flows": "flows",
        "outbox": "outbox",
        "why": "why",
        "doctor": "doctor",
        "prune": "prune",
        "migrate": "migrate",
        "db": "db",
        "completion": "completion",
    }
)
"""The module of this package that defines each command, under the command's name; in the order of the help."""


class LazyGroup(click.Group):
    """Imports a command when it is asked for, and proposes the nearest name for one that does not exist."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{COMMANDS[cmd_name]}", __package__), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with."""
        refuse_unknown(args[0], COMMANDS, ctx)
        return super().resolve_command(ctx, args)


class NamingGroup(click.Group):
    """Proposes the nearest name for a command that does not exist, and lists commands as they are defined."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with."""
        refuse_unknown(args[0], self.commands, ctx)
        return super().resolve_command(ctx, args)


def refuse_unknown(name: str, commands: Mapping[str, Any], ctx: click.Context) -> None:
    """Raise where there is no such command; options are left to click."""
    if name in commands or name.startswith("-"):
        return
    from difflib import get_close_matches

    close = get_close_matches(name, commands, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(commands)}"
    raise click.UsageError(f"there is no command {name!r}; {hint}", ctx=ctx)


def installed_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("fairlead")
    except PackageNotFoundError:
        return "unknown (not installed)"


def _print_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"fairlead {installed_version()}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Environment: DATABASE_URL and FAIRLEAD_BLOBS, where --database and --blobs are not given; NO_COLOR. "
    "Exit codes: 0 done, 1 the world (database, files), 2 usage, 3 the awaited run did not complete, 70 a defect, "
    "130 interrupted.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Durable workflows on PostgreSQL.

    \b
    fairlead demo                                       see a real flow run on a PostgreSQL of its own
    fairlead flows graph --kernel myapp.flows:kernel    draw what you have written
    fairlead worker myapp.flows:kernel                  work on your flows
    fairlead start my_flow --kernel myapp.flows:kernel --input '{"id": 7}' --watch
    fairlead runs list --status failed                  look at what happened

    myapp.flows:kernel names an object in a module, also in a file of the current folder: a Kernel, or a function that
    makes one; `fairlead worker --help` says more. Without --database and DATABASE_URL, commands use an embedded
    PostgreSQL that starts and stops by itself.
    """
