"""`fairlead runs`: what was started and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ...kernel import Kernel, RunDetails
from ...kernel.kernel import RUNS_PER_PAGE_MAX
from ...kernel.proposals import proposed
from ...ports.reading import RunCursor, RunFilter, RunPage, RunRecord
from ...ports.statuses import RunStatus
from .command import DatabaseChoice, FairleadCommand, common_options, database_options, ports_options
from .control import cancel_command, rerun_command, retry_command
from .exit_codes import ExitCode
from .logs import annotate_command, logs_command
from .moments import cursor, write_cursor
from .output import print_json, print_table, shown_duration, shown_time
from .program import NamingGroup
from .proposals import completed
from .reading import read
from .run_filters import filter_options
from .run_names import find_run, nearest_flow

if TYPE_CHECKING:
    from .payloads import RunPayloads


@click.group(cls=NamingGroup, short_help="Look at runs, end them, begin them anew: list, show, watch, cancel, …")
def runs() -> None:
    """Look at runs, end them, and begin anew what has ended. Only for that the code of their flows is needed.

    \b
    fairlead runs list --flow fulfil_order --status failed --since 2h
    fairlead runs show 0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    fairlead runs watch latest
    fairlead runs logs latest --follow
    fairlead runs cancel 6f2a10 --reason "wrong input"
    fairlead runs retry 6f2a10 --kernel myapp.flows:kernel
    """


@runs.command("list", cls=FairleadCommand, short_help="List runs, newest first.")
@filter_options
@click.option(
    "--limit", type=click.IntRange(1, RUNS_PER_PAGE_MAX), default=20, show_default=True, help="Runs per page."
)
@click.option("--after", callback=cursor, metavar="CURSOR", help="Where the page before ended.")
@database_options
@common_options
def list_command(
    chosen: RunFilter,
    limit: int,
    after: RunCursor | None,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """List runs, newest first, page by page.

    \b
    fairlead runs list --status failed --status cancelled --since 7d
    fairlead runs list --key order-7 --json
    fairlead runs list --annotation customer=acme --annotation tier=3
    """

    async def ask(kernel: Kernel) -> tuple[RunPage, Mapping[str, bytes]]:
        page = await kernel.runs(chosen, limit=limit, after=after)
        wanted = [run.id for run in page.runs] if as_json else []
        return page, await kernel.ports.persistence.read_annotations(wanted)

    page, annotations = read(choice, ask)
    if as_json:
        from .records import annotated_run_json

        runs = [annotated_run_json(run, annotations.get(run.id)) for run in page.runs]
        print_json({"runs": runs, "next": write_cursor(page.next)})
    else:
        _print_page(page)
        flow = chosen.flow
        if not page.runs and flow is not None and (meant := read(choice, lambda kernel: nearest_flow(kernel, flow))):
            click.echo(f"no run of flow {flow!r} is known; did you mean {meant!r}?", err=True)


@runs.command("show", cls=FairleadCommand, short_help="Show one run: steps, tasks, attempts, errors, events.")
@click.argument("run")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All tasks, attempts, events and tracebacks; with --payloads, all of every payload.",
)
@click.option("--payloads", is_flag=True, help="Input, config and outputs too.")
@ports_options
@common_options
def show_command(run: str, everything: bool, payloads: bool, as_json: bool, choice: DatabaseChoice) -> None:
    """Show RUN: its steps, the tasks that did not simply complete, errors and events.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`.

    \b
    fairlead runs show 0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    fairlead runs show 6f2a10 --payloads
    fairlead runs show latest --json
    """
    from .payloads import read_run_payloads

    async def ask(kernel: Kernel) -> tuple[RunDetails, RunPayloads | None]:
        handle = kernel.run(await find_run(kernel, run))
        details = await handle.details()
        return details, await read_run_payloads(kernel, details, everything=everything) if payloads else None

    details, found = read(choice, ask)
    if as_json:
        from .records import details_json

        document = details_json(details)
        print_json(document if found is None else {**document, "payloads": found.as_json()})
    else:
        from .details import print_details

        print_details(details, everything=everything)
        if found is not None:
            found.print()


@runs.command("watch", cls=FairleadCommand, short_help="Watch a run until it ends.")
@click.argument("run")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Watch no longer.")
@database_options
@common_options
@click.pass_context
def watch_command(
    ctx: click.Context, /, run: str, timeout: float | None, as_json: bool, choice: DatabaseChoice
) -> None:
    """Watch RUN until it ends: its steps, how far they are, retries and failures as they happen.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`. On a terminal
    it is a picture that is redrawn, elsewhere lines; with --json an object per line, whose `kind` is event, progress,
    idle or run. Ctrl-C ends the watching and leaves the run alone. The exit code is 0 where the run completed, and 3
    where it did not.

    \b
    fairlead runs watch latest
    fairlead runs watch 6f2a10 --json
    """
    from .displays import JsonLines, display_on
    from .watching import watch_shown

    display = JsonLines(sys.stdout) if as_json else display_on(sys.stdout)

    async def ask(kernel: Kernel) -> RunRecord:
        return await watch_shown(kernel, await find_run(kernel, run), display, timeout=timeout)

    try:
        ended = read(choice, ask)
    except KeyboardInterrupt:
        click.echo("the run goes on", err=True)
        raise
    if ended.status is not RunStatus.COMPLETED:
        if not as_json:
            click.echo(completed(f"more of it: {proposed('runs', 'show', ended.id)}"), err=True)
        ctx.exit(ExitCode.RUN)


for _command in (logs_command, annotate_command, cancel_command, rerun_command, retry_command):
    runs.add_command(_command)


def _print_page(page: RunPage) -> None:
    if not page.runs:
        click.echo("no runs")
        return
    rows = [
        (
            run.id,
            run.flow,
            run.version,
            str(run.status),
            run.key or "-",
            shown_time(run.created_at),
            shown_duration(run.created_at, run.ended_at),
            run.reason or "",
        )
        for run in page.runs
    ]
    print_table(["RUN", "FLOW", ">VERSION", "STATUS", "KEY", "CREATED", ">TOOK", "REASON"], rows)
    if page.next is not None:
        click.echo(f"more: --after {write_cursor(page.next)}")
