"""`fairlead demo`: survey a folder with a flow, and show it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...ports.errors import UsageError
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options
from .exit_codes import ExitCode
from .output import print_json

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ..node import NodeHost
    from ..node.signals import StopSignals
    from .database import Database
    from .displays import Display
    from .survey_words import Answer, CrashedSurvey, Survey
    from .surveying import Wanted

T = TypeVar("T")

REPORT = Path("fairlead-survey.md")

LEFT_OUT = (".*", "__pycache__", "node_modules")
"""Folders that the survey of the current folder leaves out: version control, environments, caches."""

DRAIN_TIMEOUT_S = 10.0


class ReportUnwritable(UsageError):
    """The report has no place where it was wanted."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"--report: {path} cannot be written, {reason}; name a file in a folder that you may write to")


@click.command(cls=FairleadCommand, short_help="See a real flow run, and survive: survey a folder.")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--crash", is_flag=True, help="Kill the worker half-way (kill -9), and see another finish its work.")
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
    crash: bool,
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
    of its own on PostgreSQL. Kill the command half-way (kill -9) and give it again: it goes on where it stopped. Or
    have that done: --crash starts a worker process, kills it with SIGKILL when half of the files are analysed, starts
    another, and shows which tasks were executed twice.

    \b
    fairlead demo
    fairlead demo --crash
    fairlead demo /usr/share/doc --report survey.json
    fairlead demo /usr/share/doc --no-worker      and elsewhere, any number of times:
    fairlead worker fairlead.hosts.demo:kernel
    """
    from .database import open_database
    from .displays import Silence, display_on, log_to

    if crash and (no_worker or key is not None):
        raise click.UsageError("--crash starts a new run and workers of its own; leave --no-worker and --key out")
    wanted = _wanted(folder, report, [*leave_out, *(LEFT_OUT if folder is None else ())], key)
    display = Silence() if as_json else display_on(sys.stderr, events=False)
    log_to(display)
    with open_database(choice, progress=display.say) as found:
        began_s = time.monotonic()
        if crash:
            answer: Answer | None = asyncio.run(_crash(wanted, concurrency, found, display))
        else:
            answer = asyncio.run(_survey(wanted, None if no_worker else concurrency, found, display))
        took_s = time.monotonic() - began_s
    if answer is None:
        display.say("stopped; the same command goes on from here" if not crash else "stopped, and its workers with it")
        ctx.exit(ExitCode.INTERRUPTED)
    if as_json:
        print_json(answer.as_json(wanted.request, took_s))
    else:
        answer.print(wanted.request, took_s)


def _wanted(folder: Path | None, report: Path, leave_out: list[str], key: str | None) -> Wanted:
    """What the command line asks for, its paths absolute.

    Raises:
        ReportUnwritable: the report cannot be put there.
    """
    from ..demo import ListSettings, Request, path_text
    from .surveying import Wanted

    place = report.absolute()
    if place.is_dir():
        raise ReportUnwritable(place, "it is a folder")
    if not place.parent.is_dir():
        raise ReportUnwritable(place, "its folder does not exist")
    if not os.access(place.parent, os.W_OK):
        raise ReportUnwritable(place, "its folder is closed to you")
    request = Request(
        folder=path_text(os.fsencode((folder or Path()).resolve())),
        report=path_text(os.fsencode(place.parent.resolve() / place.name)),
        format="json" if place.suffix == ".json" else "markdown",
    )
    return Wanted(request=request, listing=ListSettings(leave_out=leave_out), key=key)


async def _survey(wanted: Wanted, concurrency: int | None, database: Database, display: Display) -> Survey | None:
    """Start or resume the survey, work on it (unless `concurrency` is None), show it. None where a signal ended it."""
    from ..demo import kernel as make_kernel
    from ..node.signals import StopSignals
    from .proposals import completed
    from .survey_words import Survey
    from .surveying import read_findings, start_or_resume
    from .watching import watch_shown

    async with make_kernel(database.ports()) as kernel:
        with StopSignals() as signals, display:
            run, resumed = await start_or_resume(kernel, wanted)
            display.say(f"database: {database.shown} ({database.source})")
            display.say(f"survey of {wanted.request.folder}: {'taking up' if resumed else 'started'} run {run.id}")
            if resumed:
                display.say("what a killed worker had in its hands follows when its leases end, within some seconds")
            if concurrency is None:
                display.say(completed("waiting for a worker: `fairlead worker fairlead.hosts.demo:kernel`"))
            host = None if concurrency is None else _host(kernel, concurrency)
            ended = None
            try:
                if host is not None:
                    await host.start()
                ended = await unless_stopped(watch_shown(kernel, run.id, display), signals)
            finally:
                if host is not None:
                    await host.stop(exiting=ended is None)
        return None if ended is None else Survey(findings=await read_findings(run))


async def _crash(wanted: Wanted, concurrency: int, database: Database, display: Display) -> CrashedSurvey | None:
    """Have the survey done by two workers, of which the first is killed. None where a signal ended it."""
    from ..demo import kernel as make_kernel
    from ..node.signals import StopSignals
    from .crashing import crash
    from .survey_words import CrashedSurvey

    async with make_kernel(database.ports()) as kernel:
        with StopSignals() as signals, display:
            display.say(f"database: {database.shown} ({database.source})")
            found = await unless_stopped(crash(kernel, wanted, database, display, concurrency), signals)
        return None if found is None else CrashedSurvey(crash=found)


def _host(kernel: Kernel, concurrency: int) -> NodeHost:
    from ..node import NodeHost
    from .surveying import LEASE_DURATION

    return NodeHost(kernel, concurrency=concurrency, lease_duration=LEASE_DURATION, drain_timeout=DRAIN_TIMEOUT_S)


async def unless_stopped(work: Coroutine[Any, Any, T], signals: StopSignals) -> T | None:
    """Do some work until it is done or a signal came; None in the latter case."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(signals.first())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for each in (working, stopping):
            each.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
