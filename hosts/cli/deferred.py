"""`fairlead deferred`: what is put off to a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import click

from ...kernel import DeferredNotFound, DeferredRecord, Kernel
from .command import DatabaseChoice, FairleadCommand, common_options, database_options, ports_options
from .exit_codes import ExitCode
from .moments import age, due_time
from .output import print_json, print_table, printable, shown_time
from .program import NamingGroup
from .reading import read
from .run_names import find_run

COLUMNS = ("COMMAND", "RUN", "FLOW", "DUE")


@click.group(cls=NamingGroup, short_help="Look after commands that are put off: list, cancel, withdraw, retry.")
def deferred() -> None:
    """Look after what is put off to a time: starts (`fairlead start --after 2h`), and deadlines of runs. Signals and
    cancels that a transaction of an application has asked for are here until a worker has carried them out.

    \b
    fairlead deferred list
    fairlead deferred cancel 6f2a10 --after 2h --reason "took too long"
    fairlead deferred withdraw cancel/0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    """


@deferred.command("list", cls=FairleadCommand, short_help="List what is put off.")
@database_options
@common_options
def list_command(as_json: bool, choice: DatabaseChoice) -> None:
    """List the commands that are put off, and what keeps some of them from being carried out.

    \b
    fairlead deferred list
    fairlead deferred list --json
    """
    records = [deferred.record for deferred in read(choice, lambda kernel: kernel.deferred())]
    if as_json:
        print_json({"deferred": [deferred_json(record) for record in records]})
        return
    if not records:
        click.echo("nothing is put off")
        return
    print_table(COLUMNS, [_cells(record) for record in records])
    for record in records:
        if record.problem is not None:
            click.echo(f"{record.name}: {printable(record.problem)}")


@deferred.command("cancel", cls=FairleadCommand, short_help="Give a run a deadline.")
@click.argument("run")
@click.option("--after", callback=age, metavar="AGE", help="How much later than now: 45s, 90m, 12h, 30d, 4w.")
@click.option("--at", callback=due_time, metavar="TIME", help="When: 2026-05-04T12:30 (UTC, or with a zone as +02:00).")
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the run and told with its event.")
@database_options
@common_options
def cancel_command(
    run: str,
    after: timedelta | None,
    at: datetime | None,
    reason: str | None,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Cancel RUN at a time, if it has not ended by then. A run has one deadline: a second one takes its place.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`.

    \b
    fairlead deferred cancel 6f2a10 --after 2h --reason "took too long"
    """
    if (after is None) == (at is None):
        raise click.UsageError("say when: --after 2h, or --at 2026-05-04T12:30")

    async def ask(kernel: Kernel) -> DeferredRecord:
        run_id = await find_run(kernel, run)
        return (await kernel.cancel_later(run_id, at=at, after=after, reason=reason)).record

    record = read(choice, ask)
    if as_json:
        print_json(deferred_json(record))
    else:
        click.echo(f"run {record.run_id} is cancelled at {shown_time(record.due_at)}, if it has not ended by then")


@deferred.command("withdraw", cls=FairleadCommand, short_help="Forget commands that are put off.")
@click.argument("names", nargs=-1, required=True, metavar="COMMAND...")
@ports_options
@common_options
@click.pass_context
def withdraw_command(ctx: click.Context, /, names: Sequence[str], as_json: bool, choice: DatabaseChoice) -> None:
    """Forget COMMANDs, named as `fairlead deferred list` shows them. The exit code is 2 where it is too late for one.

    \b
    fairlead deferred withdraw start/0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    """

    async def ask(kernel: Kernel) -> dict[str, bool]:
        return {name: await _withdraw(kernel, name) for name in names}

    withdrawn = read(choice, ask)
    if as_json:
        print_json({"withdrawn": withdrawn})
    else:
        for name, done in withdrawn.items():
            click.echo(f"{name}: {'withdrawn' if done else 'too late, or there is no such command'}")
    if not all(withdrawn.values()):
        ctx.exit(ExitCode.USAGE)


@deferred.command("retry", cls=FairleadCommand, short_help="Carry commands out at once, held ones too.")
@click.argument("names", nargs=-1, required=True, metavar="COMMAND...")
@database_options
@common_options
def retry_command(names: Sequence[str], as_json: bool, choice: DatabaseChoice) -> None:
    """Carry COMMANDs out as soon as a worker can, whatever their time is and however often they have failed.

    \b
    fairlead deferred retry start/0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10
    """

    async def ask(kernel: Kernel) -> list[DeferredRecord]:
        found = [await kernel.find_deferred(name) for name in names]
        return [await deferred.retry() for deferred in found]

    records = read(choice, ask)
    if as_json:
        print_json({"deferred": [deferred_json(record) for record in records]})
        return
    for record in records:
        click.echo(f"{record.name} is carried out by the next worker that can")


async def _withdraw(kernel: Kernel, name: str) -> bool:
    try:
        return await (await kernel.find_deferred(name)).withdraw()
    except DeferredNotFound:
        return False


def deferred_json(record: DeferredRecord) -> Mapping[str, object]:
    """A deferred command as `--json` shows it."""
    return {
        "name": record.name,
        "kind": record.kind,
        "run": record.run_id,
        "flow": record.flow,
        "key": record.key,
        "due_at": record.due_at,
        "held": record.held,
        "failures": record.failures,
        "problem": record.problem,
    }


def _cells(record: DeferredRecord) -> Sequence[str]:
    due = "held" if record.held else shown_time(record.due_at)
    return (record.name, record.run_id, record.flow or "-", due)
