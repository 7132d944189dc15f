"""One run as text, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import click

from ...kernel import AnnotationValue
from ...kernel.failures import Failure
from ...kernel.proposals import proposed
from ...kernel.runs import RunDetails
from ...ports.reading import GenerationRecord, RunRecord, StepRecord, TaskRecord
from ...ports.statuses import StepStatus, TaskStatus
from .annotation_words import annotation_line
from .log_words import log_line, progress_words
from .output import coloured, print_table, printable, shown_duration, shown_time
from .proposals import completed
from .records import ended_tasks, error_words, failure_of
from .wait_words import print_waits

T = TypeVar("T")

FIRST_GENERATION = 1

LINES_MAX = 20
"""Tasks, attempts and events that are shown; `--all` and `--json` have the rest."""


def print_details(details: RunDetails, *, everything: bool) -> None:
    """Write a run, its steps, and what is worth knowing of its tasks.

    Args:
        details: the run.
        everything: all tasks, attempts, events and tracebacks, however many there are.
    """
    _print_run(details.run, details.annotations, traceback=everything)
    _print_generations(details.generations)
    _print_steps(details.steps)
    _print_waits(details.tasks, everything)
    _print_tasks(details, everything)
    _print_progress(details, everything)
    _print_attempts(details, everything)
    _print_events(details, everything)
    _print_logs(details, everything)


def _print_run(run: RunRecord, annotations: Mapping[str, AnnotationValue], *, traceback: bool) -> None:
    click.echo(f"run {run.id}: {coloured(run.status)}{f' ({run.reason})' if run.reason else ''}")
    click.echo(f"  flow      {run.flow} (version {run.version})")
    rerun = run.generation > FIRST_GENERATION
    anew = f"in generation {run.generation}" if rerun else None
    for name, shown in (("key", run.key), ("priority", str(run.priority) if run.priority else None), ("anew", anew)):
        if shown is not None:
            click.echo(f"  {name:8}  {shown}")
    if annotations:
        click.echo(f"  annotated {annotation_line(annotations)}")
    click.echo(f"  created   {shown_time(run.created_at)}")
    if run.started_at is not None:
        click.echo(f"  started   {shown_time(run.started_at)}")
    if run.deadline_at is not None and run.ended_at is None:
        click.echo(f"  deadline  {shown_time(run.deadline_at)}")
    if run.ended_at is not None:
        took = shown_duration(run.started_at if rerun else run.created_at, run.ended_at)
        click.echo(f"  ended     {shown_time(run.ended_at)}, after {took}")
    failure = failure_of(run.error)
    if failure is not None:
        lines = printable(str(failure)).splitlines()
        click.echo("\n".join(f"  {'' if number else 'error':8}  {line}" for number, line in enumerate(lines)))
        if traceback:
            _print_traceback(failure)


def _print_generations(generations: Sequence[GenerationRecord]) -> None:
    if not generations:
        return
    click.echo()
    rows = [
        (
            str(each.generation),
            each.status,
            shown_time(each.ended_at),
            "" if each.started_at is None else shown_duration(each.started_at, each.ended_at),
            each.reason or "",
        )
        for each in generations
    ]
    print_table([">GENERATION", "STATUS", "ENDED", ">TOOK", "REASON"], rows)


def _print_steps(steps: Sequence[StepRecord]) -> None:
    if not steps:
        return
    click.echo()
    gaps, kept = any(step.gaps for step in steps), any(step.kept for step in steps)
    rerun = any(step.generation > FIRST_GENERATION for step in steps)
    shown: list[tuple[str, ...]] = []
    for step in steps:
        tasks = "-" if step.elements is None else f"{ended_tasks(step)}/{step.elements}"
        took = shown_duration(step.started_at, step.ended_at)
        more = [str(step.gaps)] * gaps + [str(step.kept)] * kept
        name = (step.slug, *([str(step.generation)] * rerun))
        shown.append((*name, step.status, tasks, str(step.failed_tasks), *more, took, step.reason or ""))
    name_columns = ["STEP", *([">GENERATION"] * rerun)]
    columns = [">TASKS", ">FAILED", *([">GAPS"] * gaps), *([">KEPT"] * kept)]
    print_table([*name_columns, "STATUS", *columns, ">TOOK", "REASON"], shown)
    for step in steps:
        failure = failure_of(step.error)
        if failure is not None and failure.exceeded is not None and step.status is StepStatus.SKIPPED:
            click.echo(f"{step.slug}: {error_words(failure)}")
    if kept:
        click.echo("kept: elements that an earlier generation had completed; their outputs count on")
    if gaps:
        click.echo("gaps: elements without a task, since the task that makes them has failed; they read as null")


def _print_waits(tasks: Sequence[TaskRecord], everything: bool) -> None:
    waiting = [task for task in tasks if task.waits_for is not None]
    if waiting:
        click.echo()
        print_waits(_first(waiting, everything))
        _print_rest(len(waiting) - LINES_MAX if not everything else 0, "tasks that wait")


def _print_tasks(details: RunDetails, everything: bool) -> None:
    """Write the tasks that are neither simply completed nor suspended, or all."""
    simple = (TaskStatus.COMPLETED, TaskStatus.SUSPENDED)
    chosen = [task for task in details.tasks if everything or task.status not in simple or task.attempts > 1]
    if not chosen:
        return
    rerun = details.run.generation > FIRST_GENERATION
    rows = [
        (
            task.key.step,
            *([str(task.key.generation)] * rerun),
            str(task.key.element),
            task.status,
            str(task.attempts),
            str(task.losses),
            task.worker or "-",
            task.reason or "",
        )
        for task in _first(chosen, everything)
    ]
    click.echo()
    columns = ["TASK OF", *([">GENERATION"] * rerun)]
    print_table([*columns, ">ELEMENT", "STATUS", ">ATTEMPTS", ">LOSSES", "WORKER", "REASON"], rows)
    _print_rest(len(chosen) - len(rows), "tasks that are not completed at the first attempt")


def _print_progress(details: RunDetails, everything: bool) -> None:
    """Write how far the tasks are that run, or were when they ended."""
    running = {task.key[1:] for task in details.tasks if task.status is TaskStatus.RUNNING}
    told = [each for each in details.progress if everything or (each.step, each.generation, each.element) in running]
    if not told:
        return
    rows = [
        (f"{each.step}[{each.element}]", progress_words(each), shown_time(each.at), printable(each.message or ""))
        for each in _first(told, everything)
    ]
    click.echo()
    print_table(["TASK", ">PROGRESS", "AT", "MESSAGE"], rows)
    _print_rest(len(told) - len(rows), "tasks that tell how far they are")


def _print_attempts(details: RunDetails, everything: bool) -> None:
    attempts = details.attempts
    if not attempts:
        return
    shown = _first(attempts, everything)
    rerun = details.run.generation > FIRST_GENERATION
    click.echo()
    click.echo(click.style("ATTEMPTS THAT DID NOT COMPLETE", bold=True))
    for attempt in shown:
        failure = failure_of(attempt.error)
        said = "" if failure is None else f": {error_words(failure)}"
        key = attempt.key
        generation = f", generation {key.generation}" if rerun else ""
        click.echo(f"{key.step}[{key.element}]{generation}, attempt {attempt.attempt}, {attempt.reason}{said}")
        if everything and failure is not None:
            _print_traceback(failure)
    _print_rest(len(attempts) - len(shown), "attempts")


def _print_traceback(failure: Failure) -> None:
    for line in (failure.traceback or "").splitlines():
        click.echo(f"    {printable(line)}")


def _print_events(details: RunDetails, everything: bool) -> None:
    events = details.events if everything else details.events[-LINES_MAX:]
    if not events:
        return
    rerun = details.run.generation > FIRST_GENERATION
    rows = [
        (str(each.sequence), *([str(each.generation)] * rerun), shown_time(each.at), each.type, each.step or "")
        for each in events
    ]
    click.echo()
    print_table([">EVENT", *([">GENERATION"] * rerun), "AT", "TYPE", "STEP"], rows)
    _print_rest(len(details.events) - len(rows), "events before these")


def _print_logs(details: RunDetails, everything: bool) -> None:
    entries = details.logs if everything else details.logs[-LINES_MAX:]
    if not entries:
        return
    click.echo()
    click.echo(click.style("LOG", bold=True))
    for entry in entries:
        click.echo(log_line(entry))
    if entries[0].number > 1:
        click.echo(completed(f"… and entries before these: {proposed('runs', 'logs', details.run.id)}"))


def _first(items: Sequence[T], everything: bool) -> Sequence[T]:
    return items if everything else items[:LINES_MAX]


def _print_rest(count: int, what: str) -> None:
    if count > 0:
        click.echo(f"… and {count:,} more {what}; --all shows them")
