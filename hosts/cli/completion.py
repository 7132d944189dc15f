"""`fairlead completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

import click
from click.shell_completion import get_completion_class

from .command import FairleadCommand, common_options
from .output import print_json

PROGRAM = "fairlead"

VARIABLE = "_FAIRLEAD_COMPLETE"
"""Through which the script asks the program."""

INSTALLED: Mapping[str, str] = MappingProxyType(
    {
        "bash": 'put this into ~/.bashrc (bash 4.4 or later): eval "$(fairlead completion bash)"',
        "zsh": 'put this into ~/.zshrc, after compinit: eval "$(fairlead completion zsh)"',
        "fish": "do this once: fairlead completion fish > ~/.config/fish/completions/fairlead.fish",
    }
)
"""What to do with the script of each shell."""


@click.command(cls=FairleadCommand, short_help="Complete commands and options in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(list(INSTALLED)), required=False)
@common_options
@click.pass_context
def completion(ctx: click.Context, /, shell: str | None, as_json: bool) -> None:
    """Print the script with which SHELL completes commands, options and their values. Default: the shell you use.

    The second line is for ~/.bashrc (bash 4.4 or later), the third for ~/.zshrc, after compinit.

    \b
    fairlead completion fish > ~/.config/fish/completions/fairlead.fish
    eval "$(fairlead completion bash)"
    eval "$(fairlead completion zsh)"
    """
    found = shell or used_shell(os.environ)
    if found is None:
        raise click.UsageError(f"your shell is none of {', '.join(INSTALLED)} (by the variable SHELL); name one")
    kind = get_completion_class(found)
    assert kind is not None, "click knows each of these shells"
    script = kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source()
    if as_json:
        print_json({"shell": found, "script": script, "install": INSTALLED[found]})
    else:
        click.echo(f"{script.strip()}\n\n# {INSTALLED[found]}")


def used_shell(environment: Mapping[str, str]) -> str | None:
    """The shell that a person uses, if it can be helped."""
    name = PurePath(environment.get("SHELL", "")).name
    return name if name in INSTALLED else None
