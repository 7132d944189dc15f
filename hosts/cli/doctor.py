"""`fairlead doctor`: is all well with a database?"""

from __future__ import annotations

import click

from ...kernel import Kernel
from ...kernel.diagnosing import Diagnosis, Finding, Severity
from .command import DatabaseChoice, FairleadCommand, common_options, ports_options, proposing_option
from .database import tell
from .exit_codes import ExitCode
from .output import print_json, printable
from .proposals import completed
from .reading import read


@click.command(cls=FairleadCommand, short_help="Check every rule of what is stored, and what should have been done.")
@click.option("--payloads", is_flag=True, help="Also read every large payload, and compare its length and digest.")
@proposing_option
@ports_options
@common_options
@click.pass_context
def doctor(ctx: click.Context, /, payloads: bool, as_json: bool, choice: DatabaseChoice) -> None:
    """Look whether all is well, and say what is wrong and what to do about it. Nothing is changed.

    Every invariant of the stored rows is checked, each with a query that finds nothing in a healthy database; and
    whether anything is overdue that hosts should have dealt with: leases, waits, deadlines, scheduled commands, events,
    work that no host can take. All rows are read once, so on a large database it takes a while.

    What is in capitals in a command that is proposed is for you to fill in; --kernel fills in MODULE:KERNEL. The exit
    code is 0 where all is well, 1 where something needs somebody, and 70 where a rule is broken.

    \b
    fairlead doctor
    fairlead doctor --payloads --blobs s3://my-bucket/fairlead --json
    """
    tell("looking at all that is stored …")

    async def ask(kernel: Kernel) -> Diagnosis:
        return await kernel.doctor(blobs=payloads)

    found = read(choice, ask)
    if as_json:
        print_json({"healthy": found.healthy, "checks": found.checks, "findings": list(map(_as_json, found.findings))})
    elif found.healthy:
        click.echo(f"all is well: {', '.join(found.checks)}")
    for finding in () if as_json else found.findings:
        _print(finding)
    if any(finding.severity is Severity.BROKEN for finding in found.findings):
        ctx.exit(ExitCode.DEFECT)
    if not found.healthy:
        ctx.exit(ExitCode.WORLD)


def _print(finding: Finding) -> None:
    colour = "red" if finding.severity is Severity.BROKEN else "yellow"
    click.echo(f"{click.style(finding.severity, fg=colour)}: {printable(finding.what)}")
    for row in finding.rows:
        click.echo(f"    {printable(row)}")
    if finding.more:
        click.echo("    … and more")
    elif finding.rows and finding.count > len(finding.rows):
        click.echo(f"    … and {finding.count - len(finding.rows):,} more")
    click.echo(f"  → {printable(completed(finding.remedy))}")


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "severity": finding.severity,
        "name": finding.name,
        "what": finding.what,
        "remedy": completed(finding.remedy),
        "rows": finding.rows,
        "count": finding.count,
        "more": finding.more,
    }
