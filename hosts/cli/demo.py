"""`fairlead demo`: survey a folder with a flow, and show it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import asdict, frozen

from ...ports.errors import UsageError
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options
from .exit_codes import ExitCode
from .output import print_json, print_table, shown_seconds, shown_size

if TYPE_CHECKING:
    from ...kernel import Kernel, RunHandle
    from ..demo import Request
    from ..node import NodeHost
    from ..node.signals import StopSignals
    from .database import Database
    from .displays import Display
    from .surveying import Outcome

REPORT = Path("fairlead-survey.md")

LEFT_OUT = (".*", "__pycache__", "node_modules")
"""Folders that the survey of the current folder leaves out: version control, environments, caches."""

DRAIN_TIMEOUT_S = 10.0

DUPLICATES_SHOWN_MAX = 3


class ReportUnwritable(UsageError):
    """The report has no place where it was wanted."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"--report: {path} cannot be written, {reason}; name a file in a folder that you may write to")


@frozen(kw_only=True)
class _Survey:
    request: Request
    key: str | None
    concurrency: int
    work: bool


@click.command(cls=FairleadCommand, short_help="See a real flow run: survey a folder.")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=REPORT,
    show_default=True,
    metavar="FILE",
    help="Where the report goes: JSON if it ends in .json, otherwise Markdown.",
)
@click.option("--leave-out", multiple=True, metavar="PATTERN", help="Folders not to enter, by name; several times.")
@click.option("--key", help="Name the survey: the same key again shows the same run instead of a new one.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=16, show_default=True, help="Files at a time.")
@click.option("--no-worker", is_flag=True, help="Only start and watch; workers elsewhere do the work.")
@ports_options
@common_options
@click.pass_context
def demo(
    ctx: click.Context,
    /,
    folder: Path | None,
    report: Path,
    leave_out: Sequence[str],
    key: str | None,
    concurrency: int,
    no_worker: bool,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Survey FOLDER: list its files, analyse each, combine, write a report.

    Without FOLDER it is the current one, except for hidden folders, __pycache__ and node_modules. Each file is a task
    of its own on PostgreSQL. Kill the command half-way (kill -9) and give it again: it goes on where it stopped.

    \b
    fairlead demo
    fairlead demo /usr/share/doc --report survey.json
    fairlead demo /usr/share/doc --no-worker      and elsewhere, any number of times:
    fairlead worker fairlead.hosts.demo:kernel
    """
    from .database import open_database
    from .displays import Silence, display_on, log_to

    survey = _Survey(
        request=_request(folder, report, [*leave_out, *(LEFT_OUT if folder is None else ())]),
        key=key,
        concurrency=concurrency,
        work=not no_worker,
    )
    display = Silence() if as_json else display_on(sys.stderr, events=False)
    log_to(display)
    with open_database(choice, progress=display.say) as found:
        began_s = time.monotonic()
        outcome = asyncio.run(_carry_out(survey, found, display))
    if outcome is None:
        display.say("stopped; the same command goes on from here")
        ctx.exit(ExitCode.INTERRUPTED)
    took_s = time.monotonic() - began_s
    if as_json:
        print_json(_json(outcome, survey.request, took_s))
    else:
        _print(outcome, survey.request, took_s)


def _request(folder: Path | None, report: Path, leave_out: list[str]) -> Request:
    """What the command line asks for, its paths absolute.

    Raises:
        ReportUnwritable: the report cannot be put there.
    """
    from ..demo import Request, path_text

    place = report.absolute()
    if place.is_dir():
        raise ReportUnwritable(place, "it is a folder")
    if not place.parent.is_dir():
        raise ReportUnwritable(place, "its folder does not exist")
    if not os.access(place.parent, os.W_OK):
        raise ReportUnwritable(place, "its folder is closed to you")
    surveyed = (folder or Path()).resolve()
    return Request(
        folder=path_text(os.fsencode(surveyed)),
        report=path_text(os.fsencode(place.parent.resolve() / place.name)),
        leave_out=leave_out,
    )


async def _carry_out(survey: _Survey, database: Database, display: Display) -> Outcome | None:
    """Start or resume the survey, work on it, show it. None where a signal ended it before its time."""
    from ..demo import kernel as make_kernel
    from ..node.signals import StopSignals
    from .surveying import read_outcome, start_or_resume

    async with make_kernel(database.ports()) as kernel:
        with StopSignals() as signals, display:
            run, resumed = await start_or_resume(kernel, survey.request, survey.key)
            display.say(f"database: {database.shown} ({database.source})")
            display.say(f"survey of {survey.request.folder}: {'taking up' if resumed else 'started'} run {run.id}")
            if resumed:
                display.say("what a killed worker had in its hands follows when its leases end, within some seconds")
            if not survey.work:
                display.say("waiting for a worker: fairlead worker fairlead.hosts.demo:kernel")
            host = _host(kernel, survey.concurrency) if survey.work else None
            ended = False
            try:
                if host is not None:
                    await host.start()
                ended = await _watched(kernel, run, display, signals)
            finally:
                if host is not None:
                    await host.stop(exiting=not ended)
        return await read_outcome(run) if ended else None


def _host(kernel: Kernel, concurrency: int) -> NodeHost:
    from ..node import NodeHost
    from .surveying import LEASE_DURATION

    return NodeHost(kernel, concurrency=concurrency, lease_duration=LEASE_DURATION, drain_timeout=DRAIN_TIMEOUT_S)


async def _watched(kernel: Kernel, run: RunHandle, display: Display, signals: StopSignals) -> bool:
    """Show the run until it has ended, or a signal came; returns whether it ended."""
    from .watching import watch

    async def shown() -> None:
        async for look in watch(kernel, run.id):
            display.show(look)

    showing = asyncio.ensure_future(shown())
    stopping = asyncio.ensure_future(signals.first())
    try:
        await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            await showing
            return True
        return False
    finally:
        for each in (showing, stopping):
            each.cancel()
        await asyncio.gather(showing, stopping, return_exceptions=True)


def _json(outcome: Outcome, request: Request, took_s: float) -> dict[str, object]:
    return {
        "run": outcome.run_id,
        "folder": request.folder,
        "report": request.report,
        "seconds": round(took_s, 3),
        "tasks": outcome.tasks,
        "executions": outcome.executions,
        "repeated": outcome.repeated,
        "lost": outcome.lost,
        "totals": asdict(outcome.totals),
    }


def _print(outcome: Outcome, request: Request, took_s: float) -> None:
    totals = outcome.totals
    rows = [
        (each.language, f"{each.files:,}", f"{each.lines:,}", f"{each.words:,}", shown_size(each.size_bytes))
        for each in totals.languages
    ]
    rows.append(
        ("all", f"{totals.measured:,}", f"{totals.lines:,}", f"{totals.words:,}", shown_size(totals.size_bytes))
    )
    print_table(["LANGUAGE", ">FILES", ">LINES", ">WORDS", ">SIZE"], rows)
    click.echo()
    if totals.unreadable or totals.vanished:
        click.echo(f"not measured: {totals.unreadable:,} unreadable, {totals.vanished:,} vanished meanwhile")
    click.echo(
        f"duplicates: {len(totals.duplicates):,} contents more than once, {shown_size(totals.wasted_bytes)} too many"
    )
    for group in totals.duplicates[:DUPLICATES_SHOWN_MAX]:
        click.echo(f"  {len(group.paths):,} × {shown_size(group.size_bytes)}: {', '.join(group.paths[:2])} …")
    click.echo(
        f"run {outcome.run_id}: {outcome.tasks:,} tasks, {outcome.executions:,} executions "
        f"({outcome.repeated:,} repeated, {outcome.lost:,} lost with a worker) in {shown_seconds(took_s)}"
    )
    click.echo(f"report: {request.report}")
