"""`fairlead schedules`: runs that start at every tick of a cron expression."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import click

from ...kernel import AnnotationValue, Kernel, Schedule, ScheduleRecord
from ...kernel.amounts import times
from ...kernel.schedules import CATCH_UPS, CatchUp
from .annotation_words import annotation_line, annotation_values
from .command import (
    DatabaseChoice,
    FairleadCommand,
    common_options,
    database_options,
    kernel_option,
    ports_options,
)
from .output import coloured, print_json, print_table, printable, shown_time
from .program import NamingGroup
from .reading import read
from .start import read_config, read_json

COLUMNS = ("SCHEDULE", "FLOW", "CRON", "ZONE", "STATUS", "NEXT", "LAST TICK", ">RUNS")


@click.group(cls=NamingGroup, short_help="Start runs by the clock: add, list, show, pause, resume, trigger, remove.")
def schedules() -> None:
    """Start runs by the clock, one for each tick of a cron expression, and look after that.

    But for `add`, the code of the flows is not needed.

    \b
    fairlead schedules add report --kernel myapp.flows:kernel --cron "30 2 * * *" --zone Europe/Berlin
    fairlead schedules list
    fairlead schedules pause report
    """


@schedules.command("add", cls=FairleadCommand, short_help="Make a schedule, or change one.")
@click.argument("flow")
@kernel_option("the flow")
@click.option(
    "--cron",
    required=True,
    metavar="FIELDS",
    help="Minute, hour, day of month, month, day of week; seconds before them if there are six; or @daily.",
)
@click.option("--zone", default="UTC", show_default=True, help="The time zone of the fields: an IANA name.")
@click.option(
    "--catch-up",
    type=click.Choice(CATCH_UPS),
    default="none",
    show_default=True,
    help="Which ticks are made up for that no worker was there to fire.",
)
@click.option(
    "--input",
    "input_source",
    metavar="JSON|@FILE|-",
    default="null",
    help="The input of every run: JSON, a file with it, or stdin. Default: null.",
)
@click.option("--config", "config_source", metavar="JSON|@FILE|-", help="Settings by step, in the same forms.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher is worked on first.")
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    callback=annotation_values,
    metavar="KEY=VALUE",
    help="What the runs are found by; may be given several times.",
)
@click.option("--name", help="What it is called. Default: the flow's slug.")
@ports_options
@common_options
def add_command(
    flow: str,
    target: str,
    cron: str,
    zone: str,
    catch_up: CatchUp,
    input_source: str,
    config_source: str | None,
    priority: int,
    annotations: Mapping[str, AnnotationValue],
    name: str | None,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Start a run of FLOW at every tick from now on: one, however many workers there are.

    The same schedule again changes nothing; another one of its name takes its place. Input and config are checked now,
    and again at each tick, against the newest version of the flow that the worker has. What is missed for want of a
    worker is left out (none), made up for once (last), or made up for tick by tick, up to a thousand (all).

    \b
    fairlead schedules add report --kernel myapp.flows:kernel --cron "30 2 * * *" --zone Europe/Berlin
    fairlead schedules add poll --kernel myapp.flows:kernel --cron "*/10 * * * * *" --input '{"shop": 7}' --name shop-7
    """
    from .serving import open_kernel

    if input_source == "-" and config_source == "-":
        raise click.UsageError("--input and --config cannot both be read from stdin")
    value = read_json("--input", input_source)
    config = None if config_source is None else read_config(config_source)

    async def ask(kernel: Kernel) -> ScheduleRecord:
        async with kernel:
            found = kernel.find_flow(flow).slug
            made = await kernel.schedule(
                found,
                cron=cron,
                input=value,
                zone=zone,
                catch_up=catch_up,
                config=config,
                priority=priority,
                annotations=annotations or None,
                name=name,
            )
            return made.record

    with open_kernel(target, choice) as source:
        record = asyncio.run(ask(source.make()))
    _show(record, as_json=as_json)


@schedules.command("list", cls=FairleadCommand, short_help="List schedules.")
@database_options
@common_options
def list_command(as_json: bool, choice: DatabaseChoice) -> None:
    """List all schedules by name, and what keeps some of them from ticking.

    \b
    fairlead schedules list
    fairlead schedules list --json
    """
    records = [schedule.record for schedule in read(choice, lambda kernel: kernel.schedules())]
    if as_json:
        print_json({"schedules": [schedule_json(record) for record in records]})
        return
    if not records:
        click.echo("no schedules")
        return
    print_table(COLUMNS, [_cells(record) for record in records])
    for record in records:
        if record.problem is not None:
            click.echo(f"{record.name}: {printable(record.problem)}")


@schedules.command("show", cls=FairleadCommand, short_help="Show one schedule.")
@click.argument("name")
@database_options
@common_options
def show_command(name: str, as_json: bool, choice: DatabaseChoice) -> None:
    """Show the schedule NAME: when it ticks, what it has started, what it has missed, what keeps it from ticking.

    \b
    fairlead schedules show report
    """
    found = read(choice, lambda kernel: kernel.find_schedule(name))
    _show(found.record, as_json=as_json)


@schedules.command("pause", cls=FairleadCommand, short_help="Let schedules not tick.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@database_options
@common_options
def pause_command(names: Sequence[str], as_json: bool, choice: DatabaseChoice) -> None:
    """Let the schedules NAME not tick before they are resumed. What would have ticked meanwhile is not made up for.

    \b
    fairlead schedules pause report
    """
    _change(choice, names, Schedule.pause, as_json=as_json)


@schedules.command("resume", cls=FairleadCommand, short_help="Let paused or held schedules go on.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@database_options
@common_options
def resume_command(names: Sequence[str], as_json: bool, choice: DatabaseChoice) -> None:
    """Let the schedules NAME go on: paused ones from now, held ones with what they have missed.

    \b
    fairlead schedules resume report
    """
    _change(choice, names, Schedule.resume, as_json=as_json)


@schedules.command("trigger", cls=FairleadCommand, short_help="Start a run as a tick would, now.")
@click.argument("name")
@ports_options
@common_options
def trigger_command(name: str, as_json: bool, choice: DatabaseChoice) -> None:
    """Start a run as a tick of the schedule NAME would. Its ticks stay as they are; a paused one stays paused.

    A worker that has the flow starts the run, within a moment.

    \b
    fairlead schedules trigger report
    """

    async def ask(kernel: Kernel) -> str:
        schedule = await kernel.find_schedule(name)
        return (await schedule.trigger()).id

    run_id = read(choice, ask)
    if as_json:
        print_json({"name": name, "run": run_id})
    else:
        click.echo(f"run {run_id} is started by the next worker that has the flow")


@schedules.command("remove", cls=FairleadCommand, short_help="Forget schedules.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@ports_options
@common_options
def remove_command(names: Sequence[str], as_json: bool, choice: DatabaseChoice) -> None:
    """Forget the schedules NAME. Runs that they have started go on. If one of the names is unknown, none is removed.

    \b
    fairlead schedules remove report
    """

    async def ask(kernel: Kernel) -> None:
        for schedule in [await kernel.find_schedule(name) for name in names]:
            await schedule.remove()

    read(choice, ask)
    if as_json:
        print_json({"removed": list(names)})
        return
    for name in names:
        click.echo(f"schedule {name} is removed")


def schedule_json(record: ScheduleRecord) -> Mapping[str, object]:
    """A schedule as `--json` shows it."""
    left_out = record.left_out
    return {
        "name": record.name,
        "flow": record.flow,
        "cron": record.cron,
        "zone": record.zone,
        "catch_up": record.catch_up,
        "status": record.status,
        "next_at": record.next_at,
        "last_tick": record.last_tick,
        "runs": record.started,
        "priority": record.priority,
        "config": record.config,
        "annotations": record.annotations,
        "created_at": record.created_at,
        "failures": record.failures,
        "problem": record.problem,
        "left_out": None if left_out is None else {"first": left_out.first, "last": left_out.last},
    }


def _change(
    choice: DatabaseChoice,
    names: Sequence[str],
    change: Callable[[Schedule], Awaitable[ScheduleRecord]],
    *,
    as_json: bool,
) -> None:
    """Change schedules of which each exists, and show how they stand."""

    async def ask(kernel: Kernel) -> list[ScheduleRecord]:
        found = [await kernel.find_schedule(name) for name in names]
        return [await change(schedule) for schedule in found]

    records = read(choice, ask)
    if as_json:
        print_json({"schedules": [schedule_json(record) for record in records]})
        return
    for record in records:
        ticks = "it does not tick" if record.next_at is None else f"next at {shown_time(record.next_at)}"
        click.echo(f"schedule {record.name} is {coloured(record.status)}: {ticks}")


def _cells(record: ScheduleRecord) -> Sequence[str]:
    return (
        record.name,
        record.flow,
        record.cron,
        record.zone,
        str(record.status),
        shown_time(record.next_at),
        shown_time(record.last_tick),
        f"{record.started:,}",
    )


def _show(record: ScheduleRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(schedule_json(record))
        return
    click.echo(f"schedule {record.name}: {coloured(record.status)}")
    click.echo(f"  flow       {record.flow}, priority {record.priority}")
    click.echo(f"  ticks      {record.cron} in {record.zone}, catching up on {record.catch_up}")
    click.echo(f"  next       {shown_time(record.next_at)}")
    click.echo(f"  last tick  {shown_time(record.last_tick)}")
    click.echo(f"  runs       {record.started:,}")
    if record.annotations:
        click.echo(f"  annotated  {annotation_line(record.annotations)}")
    if record.left_out is not None:
        click.echo(f"  left out   {shown_time(record.left_out.first)} to {shown_time(record.left_out.last)}")
    if record.problem is not None:
        failed = f"{times(record.failures)}{' in a row' if record.failures > 1 else ''}"
        click.echo(f"  problem    {printable(record.problem)} (failed {failed})")
