"""`fairlead runs cancel`, `rerun` and `retry`: runs that are named, or all that options choose."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import wraps
from typing import Generic, TypeVar

import click
from attrs import field, frozen

from ...kernel import CancelledRun, Kernel, RestartedRun, RunAnswer
from ...kernel.amounts import counted
from ...ports.errors import UsageError
from ...ports.reading import RunFilter
from ...ports.statuses import TERMINAL_RUN
from .command import Body, DatabaseChoice, FairleadCommand, common_options, database_options, kernel_option
from .output import coloured, print_json, printable
from .reading import read
from .run_filters import FILTERS, filter_options
from .run_names import find_run

Answer = TypeVar("Answer", CancelledRun, RestartedRun)


class NotConfirmed(UsageError):
    """Many runs were to be changed, and nobody said that all of them are meant."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        meant = counted(runs, "run is", "runs are")
        super().__init__(f"nothing was done, since {meant} meant; look at them with --dry-run, then give --yes")


@frozen(kw_only=True)
class Wanted:
    """Which runs are meant, and how they are to be dealt with."""

    names: Sequence[str]
    chosen: RunFilter
    dry_run: bool
    yes: bool
    as_json: bool


@frozen(kw_only=True)
class Doing(Generic[Answer]):
    """What is done with runs."""

    to_one: Callable[[str, bool], Awaitable[Answer]]
    """With the run of this id; the flag is whether only to tell what would be."""
    to_many: Callable[[RunFilter, bool], AsyncIterator[RunAnswer[Answer]]]
    document: Callable[[Answer], dict[str, object]]
    words: Callable[[Answer], str]


@frozen
class Tally:
    """What was told so far, and in the end."""

    documents: list[dict[str, object]] = field(factory=list[dict[str, object]])
    done: list[str] = field(factory=list[str])
    refused: list[str] = field(factory=list[str])


def bulk_options(command: Body) -> Body:
    """Add the names of runs, the options that choose runs, `--dry-run` and `--yes`; they arrive as `wanted`."""

    @wraps(command)
    def with_wanted(
        *args: object,
        runs: Sequence[str],
        chosen: RunFilter,
        dry_run: bool,
        yes: bool,
        as_json: bool,
        **named: object,
    ) -> object:
        if runs and chosen != RunFilter():
            raise click.UsageError(f"name runs, or choose them by {FILTERS}; not both")
        if not runs and chosen == RunFilter():
            raise click.UsageError(f"which runs? name them, or choose them by {FILTERS}")
        wanted = Wanted(names=runs, chosen=chosen, dry_run=dry_run, yes=yes, as_json=as_json)
        return command(*args, wanted=wanted, **named)

    decorated: Body = click.option("--yes", is_flag=True, help="Do not ask before it is done to all that are chosen.")(
        with_wanted
    )
    decorated = click.option("--dry-run", is_flag=True, help="Change nothing, only say what would be.")(decorated)
    return click.argument("runs", nargs=-1, metavar="[RUN]...")(filter_options(decorated))


@click.command("cancel", cls=FairleadCommand, short_help="Cancel runs.")
@bulk_options
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the run and told with its event.")
@database_options
@common_options
def cancel_command(wanted: Wanted, reason: str | None, choice: DatabaseChoice) -> None:
    """Cancel RUNs: nothing of them begins any more, and no result is recorded. Running handlers are told.

    RUN is a run's id; the end or the beginning of one, as far as no other run has it too; or `latest`. Instead of names
    options choose runs: all that are pending or running and fulfil every one of them. The code of the runs' flows is
    not needed. A run that had ended before is left as it is, and told. If one of the names is that of no run, none is
    cancelled.

    \b
    fairlead runs cancel 6f2a10 --reason "wrong input"
    fairlead runs cancel --flow fulfil_order --before 2h --dry-run
    """

    async def ask(kernel: Kernel) -> None:
        async def one(run_id: str, dry_run: bool) -> CancelledRun:
            found = (await kernel.run(run_id).read()).status
            if dry_run:
                return CancelledRun(run_id=run_id, found=found, took_effect=False)
            return await kernel.cancel(run_id, reason=reason)

        await carry_out(
            kernel,
            wanted,
            Doing(
                to_one=one,
                to_many=lambda chosen, dry_run: kernel.cancel_runs(chosen, reason=reason, dry_run=dry_run),
                document=_cancelled_json,
                words=lambda answer: _cancelled_words(answer, dry_run=wanted.dry_run),
            ),
        )

    read(choice, ask)


@click.command("rerun", cls=FairleadCommand, short_help="Begin runs anew from a step, in a new generation.")
@bulk_options
@click.option(
    "--from", "steps", metavar="STEP", multiple=True, required=True, help="Where; may be given several times."
)
@kernel_option("the runs' flows")
@database_options
@common_options
def rerun_command(wanted: Wanted, steps: Sequence[str], target: str, choice: DatabaseChoice) -> None:
    """Begin RUNs anew which have ended: from STEP, in a new generation.

    STEP, whatever depends on it, and every step that was neither completed nor skipped are done again; the others keep
    their outputs. How the run had ended stays readable with `fairlead runs show`. RUN is what it is for `fairlead runs
    cancel`; options choose failed runs unless --status says others. MODULE:KERNEL is what `fairlead worker` takes.

    \b
    fairlead runs rerun 6f2a10 --from charge --kernel myapp.flows:kernel
    fairlead runs rerun --flow fulfil_order --since 2h --from charge --kernel myapp.flows:kernel --dry-run
    """

    async def ask(kernel: Kernel) -> None:
        await carry_out(
            kernel,
            wanted,
            Doing(
                to_one=lambda run_id, dry_run: kernel.rerun(run_id, *steps, dry_run=dry_run),
                to_many=lambda chosen, dry_run: kernel.rerun_runs(chosen, *steps, dry_run=dry_run),
                document=_restarted_json,
                words=_restarted_words,
            ),
        )

    _with_code(target, choice, ask)


@click.command("retry", cls=FairleadCommand, short_help="Do again what did not complete of runs.")
@bulk_options
@click.option(
    "--step",
    "steps",
    metavar="STEP",
    multiple=True,
    help="Also a step whose failures were tolerated, or that was skipped for them; may be given several times.",
)
@kernel_option("the runs' flows")
@database_options
@common_options
def retry_command(wanted: Wanted, steps: Sequence[str], target: str, choice: DatabaseChoice) -> None:
    """Do again what did not complete of RUNs which have ended, in a new generation.

    That is every step that was neither completed nor skipped, and whatever depends on it; of maps only the elements
    that did not complete. RUN is what it is for `fairlead runs cancel`; options choose failed runs unless --status says
    others. MODULE:KERNEL is what `fairlead worker` takes.

    \b
    fairlead runs retry 6f2a10 --kernel myapp.flows:kernel
    fairlead runs retry --flow ingest_document --step read --status completed --kernel myapp.flows:kernel
    """

    async def ask(kernel: Kernel) -> None:
        await carry_out(
            kernel,
            wanted,
            Doing(
                to_one=lambda run_id, dry_run: kernel.retry(run_id, *steps, dry_run=dry_run),
                to_many=lambda chosen, dry_run: kernel.retry_runs(chosen, *steps, dry_run=dry_run),
                document=_restarted_json,
                words=_restarted_words,
            ),
        )

    _with_code(target, choice, ask)


async def carry_out(kernel: Kernel, wanted: Wanted, doing: Doing[Answer]) -> None:
    """Do something with the runs that are meant, and tell what became of each.

    Of runs that are named none is touched where one is refused. Of those that are chosen, each is by itself.

    Raises:
        UsageError: a name is that of no run, or a run that is named is refused.
        NotConfirmed: runs are chosen, and neither `--yes` nor a person at the terminal says that they are meant.
    """
    tally = Tally()
    if wanted.names:
        ids = list(dict.fromkeys([await find_run(kernel, name) for name in wanted.names]))
        answers = [await doing.to_one(run_id, True) for run_id in ids]
        for answer in answers:
            told = answer if wanted.dry_run else await doing.to_one(answer.run_id, False)
            _tell(tally, told, doing, wanted)
    else:
        if not wanted.dry_run and not wanted.yes:
            await _confirm(wanted, doing)
        async for each in doing.to_many(wanted.chosen, wanted.dry_run):
            if each.answer is not None:
                _tell(tally, each.answer, doing, wanted)
            elif each.refusal is not None:
                _tell_refusal(tally, each.run.id, str(each.refusal), wanted)
    if wanted.as_json:
        print_json({"dry_run": wanted.dry_run, "runs": tally.documents})
    elif not wanted.names:
        refused = f", {len(tally.refused):,} left alone" if tally.refused else ""
        click.echo(f"{counted(len(tally.done), 'run')}{refused}", err=True)


async def _confirm(wanted: Wanted, doing: Doing[Answer]) -> None:
    found = [each.answer async for each in doing.to_many(wanted.chosen, True)]
    runs = sum(answer is not None for answer in found)
    if not runs:
        return
    if wanted.as_json or not sys.stdin.isatty():
        raise NotConfirmed(runs)
    if not click.confirm(f"This is done to {counted(runs, 'run')}. Go on?", err=True):
        raise click.Abort


def _tell(tally: Tally, answer: Answer, doing: Doing[Answer], wanted: Wanted) -> None:
    tally.done.append(answer.run_id)
    if wanted.as_json:
        tally.documents.append(doing.document(answer))
    else:
        click.echo(f"run {answer.run_id}: {doing.words(answer)}")


def _tell_refusal(tally: Tally, run_id: str, why: str, wanted: Wanted) -> None:
    tally.refused.append(run_id)
    if wanted.as_json:
        tally.documents.append({"id": run_id, "refused": why})
    else:
        click.echo(f"run {run_id}: left alone: {printable(why)}")


def _cancelled_json(answer: CancelledRun) -> dict[str, object]:
    return {"id": answer.run_id, "cancelled": answer.took_effect, "found": answer.found}


def _cancelled_words(answer: CancelledRun, *, dry_run: bool) -> str:
    if answer.found in TERMINAL_RUN:
        return f"had ended before: {coloured(answer.found)}"
    if dry_run:
        return f"would be cancelled, it is {coloured(answer.found)}"
    return f"{coloured('cancelled')}, it was {answer.found}"


def _restarted_json(answer: RestartedRun) -> dict[str, object]:
    return {
        "id": answer.run_id,
        "restarted": answer.took_effect,
        "found": answer.found,
        "generation": answer.generation,
        "steps": list(answer.steps),
        "elements": dict(answer.elements),
    }


def _restarted_words(answer: RestartedRun) -> str:
    steps = ", ".join(_step_words(slug, answer) for slug in answer.steps)
    verb = "begins anew" if answer.took_effect else "would begin anew"
    return f"it was {coloured(answer.found)}, and {verb} in generation {answer.generation}: {steps}"


def _step_words(slug: str, answer: RestartedRun) -> str:
    elements = answer.elements.get(slug)
    return slug if elements is None else f"{slug} ({counted(elements, 'element')})"


def _with_code(target: str, choice: DatabaseChoice, ask: Callable[[Kernel], Awaitable[None]]) -> None:
    """Open the kernel that has the code of the flows, ask it, and close it."""
    from .serving import open_kernel

    async def asked(kernel: Kernel) -> None:
        async with kernel:
            await ask(kernel)

    with open_kernel(target, choice) as source:
        asyncio.run(asked(source.make()))
