"""`fairlead runs`: what was started and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from ...kernel.kernel import RUNS_PER_PAGE_MAX
from ...ports.reading import RunCursor, RunFilter, RunPage
from ...ports.statuses import RunStatus
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options
from .moments import cursor, moment, run_id_of, write_cursor
from .output import print_json, print_table, shown_duration, shown_time
from .program import NamingGroup
from .reading import read


@click.group(cls=NamingGroup, short_help="Look at runs: list, show.")
def runs() -> None:
    """Look at runs.

    \b
    fairlead runs list --flow fulfil_order --status failed --since 2h
    fairlead runs show 0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    """


@runs.command("list", cls=FairleadCommand, short_help="List runs, newest first.")
@click.option("--flow", metavar="SLUG", help="Runs of this flow.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice([str(status) for status in RunStatus]),
    multiple=True,
    help="Runs that stand there; may be given several times.",
)
@click.option("--key", help="The run that was started with this key.")
@click.option(
    "--since", callback=moment, metavar="TIME", help="Created then or later: 2026-05-04T12:30, or 2h for ago."
)
@click.option("--before", callback=moment, metavar="TIME", help="Created before then.")
@click.option(
    "--limit", type=click.IntRange(1, RUNS_PER_PAGE_MAX), default=20, show_default=True, help="Runs per page."
)
@click.option("--after", callback=cursor, metavar="CURSOR", help="Where the page before ended.")
@ports_options
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


@runs.command("show", cls=FairleadCommand, short_help="Show one run: steps, tasks, attempts, errors, events.")
@click.argument("run")
@click.option("--all", "everything", is_flag=True, help="All tasks, attempts, events and tracebacks.")
@ports_options
@common_options
def show_command(run: str, everything: bool, as_json: bool, choice: DatabaseChoice) -> None:
    """Show RUN, named by its id: its steps, the tasks that did not simply complete, errors and events.

    \b
    fairlead runs show 0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    fairlead runs show 0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10 --json
    """
    from ...kernel import RunNotFound

    try:
        run_id = run_id_of(run)
    except ValueError:
        raise RunNotFound(run) from None
    details = read(choice, lambda kernel: kernel.run(run_id).details())
    if as_json:
        from .records import details_json

        print_json(details_json(details))
    else:
        from .details import print_details

        print_details(details, everything=everything)


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
