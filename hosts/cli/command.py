"""What all commands have in common: how they fail, and the options that mean the same everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import click
from attrs import evolve, frozen

from .exit_codes import ExitCode
from .failing import tell_failure

Body: TypeAlias = Callable[..., object]
"""What a command does; its parameters are the values of its options."""


class FairleadCommand(click.Command):
    """A command that ends with a sentence and an exit code, whatever happens in it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click has checked its options by now."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            _ignore_further_output()
            ctx.exit(ExitCode.DONE)
        except Exception as error:
            ctx.exit(tell_failure(error, as_json=bool(ctx.params.get("as_json")), debug=bool(ctx.params.get("debug"))))


@frozen(kw_only=True)
class DatabaseChoice:
    """What the command line says of the database to use."""

    url: str | None
    folder: Path | None
    schema: str | None
    blobs: str | None = None
    """The address of large payloads."""

    @property
    def open(self) -> bool:
        """Whether it says nothing, so that the environment or the default decides."""
        return self == DatabaseChoice(url=None, folder=None, schema=None)


def common_options(command: Body) -> Body:
    """Add `--json` (as `as_json`) and `--debug`, which `FairleadCommand` reads."""

    @wraps(command)
    def without_debug(*args: object, debug: bool, **named: object) -> object:
        return command(*args, **named)

    shown = click.option("--debug", is_flag=True, help="Show the traceback of a failure.")(without_debug)
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")(shown)


def data_folder_option(command: Body) -> Body:
    """Add `--data-folder`, the embedded server's, as `data_folder`."""
    return click.option(
        "--data-folder",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Where the embedded PostgreSQL keeps its data. Default: a folder of the user's own.",
    )(command)


def database_options(command: Body) -> Body:
    """Add `--database`, `--data-folder` and `--schema`; together they arrive as `choice`."""

    @wraps(command)
    def with_choice(
        *args: object, database: str | None, data_folder: Path | None, schema: str | None, **named: object
    ) -> object:
        if database is not None and data_folder is not None:
            raise click.UsageError("--database and --data-folder name two databases; give one of them")
        choice = DatabaseChoice(url=database, folder=data_folder, schema=schema)
        return command(*args, choice=choice, **named)

    schema_option = click.option(
        "--schema", metavar="NAME", help="The schema that Fairlead's tables are in. Default: fairlead."
    )
    database_option = click.option(
        "--database",
        metavar="URL",
        help="postgresql://user:password@host:port/name. Default: DATABASE_URL, else an embedded PostgreSQL.",
    )
    return database_option(data_folder_option(schema_option(with_choice)))


def ports_options(command: Body) -> Body:
    """Add `--blobs` to `database_options`, for commands that read or write payloads; it is part of `choice`."""

    @wraps(command)
    def with_blobs(*args: object, choice: DatabaseChoice, blobs: str | None, **named: object) -> object:
        return command(*args, choice=evolve(choice, blobs=blobs), **named)

    blobs_option = click.option(
        "--blobs",
        metavar="URL",
        help="Where large payloads are: s3://bucket/prefix, gs://…, az://…, file:///folder. Default: FAIRLEAD_BLOBS, "
        "else the database.",
    )
    return database_options(blobs_option(with_blobs))


def kernel_option(of: str) -> Callable[[Body], Body]:
    """Add `--kernel`, as `target`, for commands that need the code of `of`."""
    return click.option(
        "--kernel",
        "target",
        metavar="MODULE:KERNEL",
        required=True,
        help=f"The kernel that has {of}, or the flow itself.",
    )


def proposing_option(command: Body) -> Body:
    """Add `--kernel` to a command that needs no code, for the commands that it proposes; `proposals` reads it."""

    @wraps(command)
    def without_target(*args: object, target: str | None, **named: object) -> object:
        return command(*args, **named)

    return click.option(
        "--kernel", "target", metavar="MODULE:KERNEL", help="Put into commands that are proposed; it is not imported."
    )(without_target)


def _ignore_further_output() -> None:
    """Whoever read our output has gone; what is still buffered must not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
