"""`fairlead runs logs` and `fairlead runs annotate`: what handlers noted, and what runs are found by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import click

from ...kernel import AnnotationValue, Kernel, LogEntry, LogLevel
from .annotation_words import annotation_line, annotation_values
from .command import DatabaseChoice, FairleadCommand, common_options, database_options
from .log_words import log_line
from .output import json_line, print_json
from .reading import read
from .records import log_json
from .run_names import find_run

LEVELS = {LogLevel.DEBUG: 0, LogLevel.INFO: 1, LogLevel.WARNING: 2, LogLevel.ERROR: 3}

PAGE = 1_000
"""Entries that are read at a time."""


@click.command("logs", cls=FairleadCommand, short_help="Show what the handlers of a run log.")
@click.argument("run")
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--step", metavar="SLUG", help="What this step logs.")
@click.option(
    "--level",
    type=click.Choice([str(level) for level in LogLevel]),
    default="debug",
    show_default=True,
    help="This level and above.",
)
@click.option("--last", type=click.IntRange(1, PAGE), metavar="COUNT", help="Begin with the last entries, so many.")
@database_options
@common_options
def logs_command(
    run: str, follow: bool, step: str | None, level: str, last: int | None, as_json: bool, choice: DatabaseChoice
) -> None:
    """Show what the handlers of RUN log, those of attempts that failed included.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`. An entry is
    there within a second, while its handler runs. With --json it is an object per line. Ctrl-C ends the following and
    leaves the run alone.

    \b
    fairlead runs logs latest --follow
    fairlead runs logs 6f2a10 --step charge --level warning
    """
    least = LEVELS[LogLevel(level)]

    async def show(kernel: Kernel) -> None:
        handle = kernel.run(await find_run(kernel, run))
        await handle.read()
        after = await _before_the_last(kernel, handle.id, last)
        entries = handle.follow_logs(after=after) if follow else _all(kernel, handle.id, after)
        async for entry in entries:
            if LEVELS[entry.level] >= least and step in (None, entry.step):
                click.echo(json_line(log_json(entry)) if as_json else log_line(entry), nl=not as_json)

    read(choice, show)


@click.command("annotate", cls=FairleadCommand, short_help="Annotate a run, so that it is found by it.")
@click.argument("run")
@click.argument("annotations", nargs=-1, metavar="[KEY=VALUE]...", callback=annotation_values)
@click.option("--remove", "removed", multiple=True, metavar="KEY", help="Take this annotation away; several times.")
@database_options
@common_options
def annotate_command(
    run: str,
    annotations: Mapping[str, AnnotationValue],
    removed: Sequence[str],
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Annotate RUN, which has not ended; an annotation takes the place of one with the same key.

    A VALUE that is a number, true or false is that; "7" in quotes is text, and so is everything else.

    \b
    fairlead runs annotate 6f2a10 customer=acme priority=3
    fairlead runs annotate 6f2a10 --remove priority
    fairlead runs list --annotation customer=acme
    """
    if not annotations and not removed:
        raise click.UsageError("nothing to do; give KEY=VALUE, or --remove KEY")
    values: dict[str, AnnotationValue | None] = {**annotations, **dict.fromkeys(removed)}

    async def annotate(kernel: Kernel) -> tuple[str, dict[str, AnnotationValue]]:
        handle = kernel.run(await find_run(kernel, run))
        await handle.annotate(values)
        return handle.id, await handle.annotations()

    run_id, found = read(choice, annotate)
    if as_json:
        print_json({"id": run_id, "annotations": found})
    else:
        click.echo(f"run {run_id}: {annotation_line(found) or 'no annotations'}")


async def _before_the_last(kernel: Kernel, run_id: str, last: int | None) -> int:
    """The number behind which the last entries are; 0 where all are meant."""
    if last is None:
        return 0
    entries = await kernel.run(run_id).logs(limit=last, last=True)
    return entries[0].number - 1 if entries else 0


async def _all(kernel: Kernel, run_id: str, after: int) -> AsyncIterator[LogEntry]:
    while entries := await kernel.run(run_id).logs(after=after, limit=PAGE):
        for entry in entries:
            after = entry.number
            yield entry
        await asyncio.sleep(0)
