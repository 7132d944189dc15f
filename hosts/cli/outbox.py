"""`fairlead outbox`: whether events reach their sinks, and what became of those that did not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from ...kernel import DeadLetter, DeadLetterCursor, DeadLetterFilter, DeadLetterPage, Kernel
from ...kernel.amounts import counted
from ...kernel.api.subscriptions import DEAD_LETTERS_PER_PAGE_MAX, WAITING_COUNTED_MAX
from ...kernel.events import EVENT_TYPES
from ...kernel.sink_states import SinkStanding, standing_of
from ...ports.errors import UsageError
from .command import Body, DatabaseChoice, FairleadCommand, common_options, database_options
from .moments import run_id_of
from .output import print_json, print_table, printable, shown_duration, shown_time
from .program import NamingGroup
from .proposals import completed
from .reading import read
from .run_names import find_run

PROBLEM_SHOWN_MAX = 80
"""Characters of a problem in a table; `--json` has all of it."""

SINK_COLUMNS = ("SINK", "STATE", ">WAITING", ">OLDEST", ">RUNS HELD", ">DEAD")
LETTER_COLUMNS = ("SINK", "RUN", ">EVENT", "TYPE", "FLOW", "DIED", ">ATTEMPTS", "REPLAY", "PROBLEM")


class SinkUnknown(UsageError):
    """The store knows no sink of that name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"there is no sink {name!r}; there are {', '.join(known) or 'none'}")


@click.group(cls=NamingGroup, short_help="Events on their way to sinks: status, dead letters, replay.")
def outbox() -> None:
    """See whether events reach their sinks and subscribers, and replay those that did not.

    \b
    fairlead outbox status
    fairlead outbox dead --sink default
    fairlead outbox replay --type run.completed --dry-run
    fairlead outbox remove old_subscriber
    """


@outbox.command("status", cls=FairleadCommand, short_help="Show every sink and what waits for it.")
@database_options
@common_options
def status_command(as_json: bool, choice: DatabaseChoice) -> None:
    """Show the sinks that the store knows, subscribers included, and what each is owed.

    A sink is well; or paused for a while, since it accepted nothing; or holding, since it refused an event of some
    runs; or late; or unserved, since no host that runs has it; or going, since its removal was begun. Below the table
    it says why, and what helps. A sink that nobody has any more is owed more and more: remove it.

    \b
    fairlead outbox status
    """

    async def ask(kernel: Kernel) -> tuple[list[SinkStanding], datetime]:
        workers, now = await kernel.workers(), kernel.ports.clock.now()
        return [standing_of(sink, workers, now) for sink in await kernel.sinks()], now

    sinks, now = read(choice, ask)
    if as_json:
        print_json({"sinks": [sink_json(sink) for sink in sinks]})
    elif sinks:
        print_table(SINK_COLUMNS, [_sink_cells(sink, now) for sink in sinks])
        for standing in sinks:
            if standing.why:
                click.echo(f"{printable(standing.sink.name)}: {_one_line(standing.why)}")
                click.echo(f"  → {printable(completed(standing.remedy))}")
    else:
        click.echo("no sink is known: events are kept with their runs and published nowhere")


def _choosing(command: Body) -> Body:
    """Add the options that say which dead letters."""
    for option in (
        click.option("--flow", metavar="SLUG", help="Events of runs of this flow."),
        click.option("--type", "kind", type=click.Choice(EVENT_TYPES), metavar="TYPE", help="Such as run.completed."),
        click.option("--event", type=click.IntRange(1), metavar="NUMBER", help="The run's event of this number."),
        click.option("--run", metavar="RUN", help="Events of this run: its id, the end of one, or `latest`."),
        click.option("--sink", metavar="NAME", help="Those that this sink refused."),
    ):
        command = option(command)
    return command


def _cursor(_ctx: click.Context, _option: click.Parameter, text: str | None) -> DeadLetterCursor | None:
    """Callback of an option: where a page ended, as `_write_cursor` writes it."""
    if text is None:
        return None
    run_id, _, rest = text.partition("/")
    number, _, sink = rest.partition("/")
    try:
        return DeadLetterCursor(sink, run_id_of(run_id), int(number))
    except ValueError:
        raise click.BadParameter("this is no cursor; copy it from the page before") from None


@outbox.command("dead", cls=FairleadCommand, short_help="List dead letters: events that a sink never accepted.")
@_choosing
@click.option(
    "--limit", type=click.IntRange(1, DEAD_LETTERS_PER_PAGE_MAX), default=50, show_default=True, help="Lines per page."
)
@click.option("--after", callback=_cursor, metavar="CURSOR", help="Where the page before ended.")
@database_options
@common_options
def dead_command(
    sink: str | None,
    run: str | None,
    event: int | None,
    kind: str | None,
    flow: str | None,
    limit: int,
    after: DeadLetterCursor | None,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """List events that a sink refused for so long that later ones of their runs were told without them.

    \b
    fairlead outbox dead
    fairlead outbox dead --run 6f2a10 --json
    """

    async def ask(kernel: Kernel) -> DeadLetterPage:
        return await kernel.dead_letters(await _chosen(kernel, sink, run, event, kind, flow), limit=limit, after=after)

    page = read(choice, ask)
    letters, following = page.letters, None if page.next is None else _write_cursor(page.next)
    if as_json:
        print_json({"dead_letters": [letter_json(letter) for letter in letters], "next": following})
    elif letters:
        print_table(LETTER_COLUMNS, [_letter_cells(letter) for letter in letters])
        if following is not None:
            click.echo(f"more: --after {following}")
    else:
        click.echo("no dead letters")


@outbox.command("replay", cls=FairleadCommand, short_help="Let dead letters be published again.")
@_choosing
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@database_options
@common_options
def replay_command(
    sink: str | None,
    run: str | None,
    event: int | None,
    kind: str | None,
    flow: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
    choice: DatabaseChoice,
) -> None:
    """Let dead letters be published again by the hosts that have their sinks: in order per run, beside what is new.

    A letter that is refused again stays. Asking twice is asking once.

    \b
    fairlead outbox replay --sink default --dry-run
    fairlead outbox replay --run 6f2a10 --event 3
    fairlead outbox replay --all
    """
    if everything == any(value is not None for value in (sink, run, event, kind, flow)):
        raise click.UsageError("say which: --sink, --run, --event, --type, --flow, or --all alone")
    if event is not None and run is None:
        raise click.UsageError("--event is a number within a run, so it needs --run")

    async def ask(kernel: Kernel) -> int:
        return await kernel.replay_dead_letters(await _chosen(kernel, sink, run, event, kind, flow), dry_run=dry_run)

    count = read(choice, ask)
    if as_json:
        print_json({"dry_run": dry_run, "dead_letters": count})
    else:
        letters = counted(count, "dead letter")
        verb = "would be" if dry_run else "is to be" if count == 1 else "are to be"
        click.echo(f"{letters} {verb} published again")


@outbox.command("remove", cls=FairleadCommand, short_help="Forget a sink that nobody has any more.")
@click.argument("sink")
@database_options
@common_options
def remove_command(sink: str, as_json: bool, choice: DatabaseChoice) -> None:
    """Forget SINK: no event waits for it, and its dead letters are gone.

    Take it out of the code first: a process that has it makes it known again when it is started.

    \b
    fairlead outbox remove myapp.mail.send_receipt
    """

    async def ask(kernel: Kernel) -> None:
        if not await kernel.remove_sink(sink):
            raise SinkUnknown(sink, [each.name for each in await kernel.sinks()])

    read(choice, ask)
    if as_json:
        print_json({"removed": [sink]})
    else:
        click.echo(f"sink {printable(sink)} is forgotten")


async def _chosen(
    kernel: Kernel, sink: str | None, run: str | None, event: int | None, kind: str | None, flow: str | None
) -> DeadLetterFilter:
    """The filter that the options say.

    Raises:
        SinkUnknown: the store does not know the sink.
        RunNotFound: there is no such run.
    """
    if sink is not None:
        known = [each.name for each in await kernel.sinks()]
        if sink not in known:
            raise SinkUnknown(sink, known)
    run_id = None if run is None else await find_run(kernel, run)
    return DeadLetterFilter(sink=sink, run_id=run_id, sequence=event, type=kind, flow=flow)


def sink_json(standing: SinkStanding) -> dict[str, object]:
    """A sink as `--json` shows it. What waits is counted up to `WAITING_COUNTED_MAX`."""
    sink, worst = standing.sink, standing.sink.worst
    return {
        "sink": sink.name,
        "state": standing.state,
        "why": standing.why or None,
        "remedy": completed(standing.remedy) or None,
        "registered_at": sink.registered_at,
        "waiting": sink.waiting,
        "oldest_at": sink.oldest_at,
        "held_runs": sink.held_runs,
        "worst_held": worst
        and {
            "run": worst.run_id,
            "event": worst.next_sequence,
            "attempts": worst.attempts,
            "next_at": worst.not_before,
            "problem": worst.problem,
        },
        "dead_letters": sink.dead_letters,
        "paused_until": sink.not_before,
        "problem": sink.problem,
    }


def letter_json(letter: DeadLetter) -> dict[str, object]:
    """A dead letter as `--json` shows it."""
    import msgspec

    event = letter.event
    return {
        "sink": letter.sink,
        "run": event.run_id,
        "event": event.sequence,
        "type": event.type,
        "step": event.step,
        "flow": event.flow,
        "at": event.at,
        "died_at": letter.died_at,
        "attempts": letter.attempts,
        "problem": letter.problem,
        "asked_at": letter.asked_at,
        "data": msgspec.Raw(event.data),
    }


def _sink_cells(standing: SinkStanding, now: datetime) -> list[str]:
    sink = standing.sink
    return [
        printable(sink.name),
        standing.state,
        _counted(sink.waiting),
        shown_duration(sink.oldest_at, now),
        _counted(sink.held_runs),
        _counted(sink.dead_letters),
    ]


def _letter_cells(letter: DeadLetter) -> list[str]:
    event = letter.event
    return [
        printable(letter.sink),
        event.run_id,
        str(event.sequence),
        event.type,
        event.flow,
        shown_time(letter.died_at),
        str(letter.attempts),
        "no" if letter.asked_at is None else "asked",
        _short(letter.problem),
    ]


def _counted(count: int) -> str:
    return f"{count:,}+" if count >= WAITING_COUNTED_MAX else f"{count:,}"


def _short(problem: str) -> str:
    line = _one_line(problem)
    return line if len(line) <= PROBLEM_SHOWN_MAX else f"{line[: PROBLEM_SHOWN_MAX - 1]}…"


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _write_cursor(cursor: DeadLetterCursor) -> str:
    return f"{cursor.run_id}/{cursor.sequence}/{cursor.sink}"
