"""Commands that messages propose, completed with what the command that proposes them was called with.

Messages write a command in backticks, as it is typed against the default database. Whoever called with `--database` or
`--kernel` gets it with those, so that it does what it says when it is typed as it is printed. A password is never
printed: `***` stands for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from ...kernel.proposals import KERNEL

HANDED_ON = ("database", "data_folder", "schema", "blobs")
"""The options that a proposed command gets, where it has them too; by the names of their parameters."""

_COMMAND = re.compile(r"`fairlead ([^`\n]+)`")


def completed(text: str) -> str:
    """A text whose proposed commands work as printed, for whoever called the command that is being carried out."""
    ctx = click.get_current_context(silent=True)
    return text if ctx is None else _COMMAND.sub(lambda found: f"`fairlead {_complete(found[1], ctx)}`", text)


def _complete(typed: str, ctx: click.Context) -> str:
    target = ctx.params.get("target")
    if isinstance(target, str):
        typed = typed.replace(KERNEL, shlex.quote(target))
    return " ".join([typed, *map(shlex.quote, _options(typed, ctx))])


def _options(typed: str, ctx: click.Context) -> Iterator[str]:
    """What of the command that is being carried out a proposed one needs as well."""
    command = _command(typed.split())
    taken = {} if command is None else {parameter.name: parameter for parameter in command.params}
    for name in HANDED_ON:
        value = ctx.params.get(name)
        if value is not None and name in taken and taken[name].opts[0] not in typed.split():
            yield taken[name].opts[0]
            yield _public(str(value))


def _command(words: list[str]) -> click.Command | None:
    """The command that some words begin with; None where there is none, or only a group of them."""
    from .program import main

    found: click.Command | None = main
    for word in words:
        if not isinstance(found, click.Group):
            return found
        found = found.get_command(click.Context(found), word)
    return None if isinstance(found, click.Group) else found


def _public(value: str) -> str:
    if "@" not in value and "password" not in value:
        return value
    from .database import without_password

    return without_password(value)
