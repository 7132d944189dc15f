"""`fairlead runs`: what was started and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from ...kernel import Kernel, RunDetails
from ...kernel.commands import CancelledRun
from ...kernel.kernel import RUNS_PER_PAGE_MAX
from ...ports.reading import RunCursor, RunFilter, RunPage, RunRecord
from ...ports.statuses import RunStatus
from .command import DatabaseChoice, FairleadCommand, common_options, database_options, ports_options
from .exit_codes import ExitCode
from .moments import cursor, moment, write_cursor
from .output import coloured, print_json, print_table, shown_duration, shown_time
from .program import NamingGroup
from .reading import read
from .run_names import find_run, nearest_flow

if TYPE_CHECKING:
    from .payloads import RunPayloads


@click.group(cls=NamingGroup, short_help="Look at runs and end them: list, show, watch, cancel.")
def runs() -> None:
    """Look at runs, and end them. The code of their flows is not needed.

    \b
    fairlead runs list --flow fulfil_order --status failed --since 2h
    fairlead runs show 0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    fairlead runs watch latest
    fairlead runs cancel 6f2a10 --reason "wrong input"
    """


@runs.command("list", cls=FairleadCommand, short_help="List runs, newest first.")
@click.option("--flow", metavar="SLUG", help="Runs of this flow.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice([str(status) for status in RunStatus]),
    multiple=True,
    help="Runs with this status; may be given several times.",
)
@click.option("--key", help="The run that was started with this key.")
@click.option(
    "--since",
    callback=moment,
    metavar="TIME",
    help="Created then or later: 2026-05-04T12:30 (UTC, or with a zone as in +02:00), or 2h for ago.",
)
@click.option("--before", callback=moment, metavar="TIME", help="Created before then.")
@click.option(
    "--limit", type=click.IntRange(1, RUNS_PER_PAGE_MAX), default=20, show_default=True, help="Runs per page."
)
@click.option("--after", callback=cursor, metavar="CURSOR", help="Where the page before ended.")
@database_options
@common_options
def list_command(
    flow: str | None,
    statuses: Sequence[str],
    key: str | None,
    since: datetime | None,
    before: datetime | None,
    limit: int,
    after: RunCursor | None,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """List runs, newest first, page by page.

    \b
    fairlead runs list --status failed --status cancelled --since 7d
    fairlead runs list --key order-7 --json
    """
    chosen = RunFilter(
        flow=flow,
        statuses=frozenset(map(RunStatus, statuses)) or None,
        key=key,
        created_from=since,
        created_before=before,
    )
    page = read(choice, lambda kernel: kernel.list_runs(chosen, limit=limit, after=after))
    if as_json:
        from .records import run_json

        print_json({"runs": [run_json(run) for run in page.runs], "next": write_cursor(page.next)})
    else:
        _print_page(page)
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
            click.echo(f"more of it: fairlead runs show {ended.id}", err=True)
        ctx.exit(ExitCode.RUN)


@runs.command("cancel", cls=FairleadCommand, short_help="Cancel runs.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the run and told with its event.")
@database_options
@common_options
def cancel_command(runs: Sequence[str], reason: str | None, as_json: bool, choice: DatabaseChoice) -> None:
    """Cancel RUNs: nothing of them begins any more, and no result is recorded. Running handlers are told.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`. The code of the
    runs' flows is not needed. A run that had ended before is left as it is, and told. If one of the names is that of no
    run, none is cancelled.

    \b
    fairlead runs cancel 6f2a10 --reason "wrong input"
    """

    async def ask(kernel: Kernel) -> list[CancelledRun]:
        ids = [await find_run(kernel, name) for name in runs]
        for run_id in ids:
            await kernel.run(run_id).record()
        return [await kernel.cancel(run_id, reason=reason) for run_id in dict.fromkeys(ids)]

    answers = read(choice, ask)
    if as_json:
        print_json(
            {"runs": [{"id": each.run_id, "cancelled": each.took_effect, "found": each.found} for each in answers]}
        )
        return
    for each in answers:
        told = f"{coloured('cancelled')}, it was {each.found}" if each else f"had ended before: {coloured(each.found)}"
        click.echo(f"run {each.run_id}: {told}")


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
