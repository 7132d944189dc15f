"""A flow drawn on whatever stdout is: in colour on a terminal, in ASCII where its encoding has nothing better."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import click

from ..drawing import Chart
from ..drawing.characters import columns
from ..drawing.text import ARROW, CARD, Run, Style, draw_runs

COLOURS: Mapping[Style, Callable[[str], str]] = {
    Style.TITLE: partial(click.style, bold=True),
    Style.DETAIL: partial(click.style, fg="bright_black"),
    Style.CONDITION: partial(click.style, fg="yellow"),
    Style.FRAME: partial(click.style, fg="yellow", dim=True),
    Style.INPUT: partial(click.style, fg="blue"),
    Style.MAP: partial(click.style, fg="cyan"),
    Style.WAIT: partial(click.style, fg="magenta"),
    Style.IMPLIED: partial(click.style, fg="bright_black"),
}
"""Of what is not plain."""


def print_picture(chart: Chart) -> None:
    """Write a chart to stdout; without types and policies where it would be wider than the terminal with them."""
    ascii_only = not _can_show(f"{ARROW}{CARD.corners}")
    lines = draw_runs(chart, ascii_only=ascii_only)
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        if _width(lines) > room:
            lines = draw_runs(chart.brief, ascii_only=ascii_only)
        if _width(lines) > room:
            hint = f"the drawing has {_width(lines)} columns and the terminal {room}; pipe it into `less -S`, or take"
            click.echo(f"{hint} --format svg", err=True)
    for line in lines:
        click.echo("".join(COLOURS.get(run.style, str)(run.text) for run in line))


def _can_show(characters: str) -> bool:
    try:
        characters.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width(lines: Sequence[Sequence[Run]]) -> int:
    return max(sum(columns(run.text) for run in line) for line in lines)
