"""`fairlead why`: why a run is not moving."""

from __future__ import annotations

import click

from ...kernel import Kernel
from ...kernel.explaining import NEEDING_SOMEBODY, Cause, Explanation
from .command import DatabaseChoice, FairleadCommand, common_options, database_options, proposing_option
from .output import coloured, print_json, printable
from .proposals import completed
from .reading import read
from .run_names import find_run


@click.command(cls=FairleadCommand, short_help="Say why a run is not moving, and what would move it.")
@click.argument("run")
@proposing_option
@database_options
@common_options
def why(run: str, as_json: bool, choice: DatabaseChoice) -> None:
    """Say why RUN stands where it does: what it waits for, until when, and what or who would move it.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`. A host counts
    as running for a minute and a half after it was last heard of, so it is told when that was. What is in capitals in a
    command that is proposed is for you to fill in; --kernel fills in MODULE:KERNEL.

    \b
    fairlead why latest
    fairlead why latest --kernel myapp.flows:kernel
    fairlead why 6f2a10 --json
    """

    async def ask(kernel: Kernel) -> Explanation:
        return await kernel.why(await find_run(kernel, run))

    found = read(choice, ask)
    if as_json:
        print_json(
            {
                "run": found.run.id,
                "status": found.run.status,
                "causes": list(map(_as_json, found.causes)),
                "behind": found.behind,
            }
        )
        return
    record = found.run
    click.echo(f"run {record.id} of {record.flow} (version {record.version}): {coloured(record.status)}")
    for cause in found.causes:
        _print(cause)
    if found.behind:
        click.echo(f"  behind that: {', '.join(found.behind)}")


def _print(cause: Cause) -> None:
    mark = click.style("!", fg="yellow") if cause.kind in NEEDING_SOMEBODY else "·"
    click.echo(f"  {mark} {printable(cause.what)}")
    click.echo(f"      → {printable(completed(cause.remedy))}")


def _as_json(cause: Cause) -> dict[str, object]:
    return {
        "kind": cause.kind,
        "step": cause.step,
        "tasks": cause.tasks,
        "what": cause.what,
        "remedy": completed(cause.remedy),
        "until": cause.until,
    }
