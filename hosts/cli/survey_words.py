"""What a survey has found, and how it went, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import click
from attrs import asdict, frozen

from ...kernel.proposals import proposed
from ..demo import Request
from .crashing import LOST, Crash, Repeated, WorkerProcess
from .output import print_table, shown_seconds, shown_size
from .proposals import completed
from .surveying import Findings

DUPLICATES_SHOWN_MAX = 3

REPEATED_SHOWN_MAX = 10
"""Tasks that were executed twice; `runs show --all` has all of them."""


class Answer(Protocol):
    """What the command has to say at its end."""

    def as_json(self, request: Request, took_s: float) -> dict[str, object]:
        """The answer for programs."""
        ...

    def print(self, request: Request, took_s: float) -> None:
        """Write the answer for people."""
        ...


@frozen(kw_only=True)
class Survey:
    """A survey that went through."""

    findings: Findings

    def as_json(self, request: Request, took_s: float) -> dict[str, object]:
        """The answer for programs."""
        findings = self.findings
        return {
            "run": findings.run_id,
            "folder": request.folder,
            "report": request.report,
            "seconds": round(took_s, 3),
            "tasks": findings.tasks,
            "executions": findings.executions,
            "repeated": findings.repeated,
            "lost": findings.lost,
            "totals": {**asdict(findings.totals), "measured": findings.totals.measured},
        }

    def print(self, request: Request, took_s: float) -> None:
        """Write the answer for people."""
        _print_totals(self.findings)
        findings = self.findings
        click.echo(
            f"run {findings.run_id}: {findings.tasks:,} tasks, {findings.executions:,} executions "
            f"({findings.repeated:,} repeated, {findings.lost:,} lost with a worker) in {shown_seconds(took_s)}"
        )
        click.echo(f"report: {request.report}")


@frozen(kw_only=True)
class CrashedSurvey:
    """A survey whose first worker was killed."""

    crash: Crash

    def as_json(self, request: Request, took_s: float) -> dict[str, object]:
        """The answer for programs."""
        crash = self.crash
        return {
            **Survey(findings=crash.findings).as_json(request, took_s),
            "killed": {"worker": crash.killed.name, "pid": crash.killed.pid, "analysed": crash.analysed},
            "finished_by": {"worker": crash.finisher.name, "pid": crash.finisher.pid},
            "executed_again": [
                {
                    "step": each.task.key.step,
                    "element": each.task.key.element,
                    "file": each.file,
                    "attempts": [
                        *(
                            {"attempt": attempt.attempt, "worker": attempt.worker, "reason": attempt.reason}
                            for attempt in each.attempts
                        ),
                        {"attempt": each.task.attempts, "worker": each.task.worker, "reason": each.task.reason},
                    ],
                }
                for each in crash.repeated
            ],
        }

    def print(self, request: Request, took_s: float) -> None:
        """Write the answer for people: how the survey went first, what it found is not the point here."""
        crash, findings = self.crash, self.crash.findings
        files = findings.totals.files
        click.echo(
            f"worker 1 (process {crash.killed.pid}) was killed with {crash.analysed:,} of {files:,} files analysed, "
            f"and {crash.in_hands:,} in its hands"
        )
        click.echo(f"worker 2 (process {crash.finisher.pid}) finished the survey: run {findings.run_id} is completed")
        click.echo()
        if crash.repeated:
            self._print_repeated()
            click.echo()
        click.echo(
            f"{findings.tasks:,} tasks, each with one result; {findings.executions:,} executions: "
            f"{len(crash.repeated):,} task{' was' if len(crash.repeated) == 1 else 's were'} executed again, "
            f"the others once ({shown_seconds(took_s)})"
        )
        click.echo(completed(f"every attempt: {proposed('runs', 'show', findings.run_id, '--all')}"))
        click.echo(f"report: {request.report}")

    def _print_repeated(self) -> None:
        shown = self.crash.repeated[:REPEATED_SHOWN_MAX]
        tries = max(each.task.attempts for each in shown)
        columns = ["EXECUTED AGAIN", "FILE", *(f"ATTEMPT {number}" for number in range(1, tries + 1))]
        rows = [
            (f"{each.task.key.step}[{each.task.key.element}]", each.file or "-", *_padded(self._attempts(each), tries))
            for each in shown
        ]
        print_table(columns, rows)
        rest = len(self.crash.repeated) - len(shown)
        if rest:
            click.echo(f"… and {rest:,} more")

    def _attempts(self, repeated: Repeated) -> Iterator[str]:
        """How each attempt at a task ended."""
        for attempt in repeated.attempts:
            ended = "killed" if attempt.reason == LOST else attempt.reason
            yield f"{self._named(attempt.worker)}: {ended}"
        yield f"{self._named(repeated.task.worker)}: {repeated.task.status}"

    def _named(self, worker: str | None) -> str:
        known: dict[str, WorkerProcess] = {each.name: each for each in (self.crash.killed, self.crash.finisher)}
        for number, name in enumerate(known, 1):
            if name == worker:
                return f"worker {number}"
        return worker or "-"


def _padded(cells: Iterator[str], count: int) -> list[str]:
    found = list(cells)
    return [*found, *[""] * (count - len(found))]


def _print_totals(findings: Findings) -> None:
    totals = findings.totals
    rows = [
        (each.language, f"{each.files:,}", f"{each.lines:,}", f"{each.words:,}", shown_size(each.size_bytes))
        for each in totals.languages
    ]
    rows.append(
        ("all", f"{totals.measured:,}", f"{totals.lines:,}", f"{totals.words:,}", shown_size(totals.size_bytes))
    )
    print_table(["LANGUAGE", ">FILES", ">LINES", ">WORDS", ">SIZE"], rows)
    click.echo()
    if totals.unread:
        show = proposed("runs", "show", findings.run_id)
        click.echo(completed(f"not measured: {totals.unread:,}; why is told by {show}"))
    click.echo(
        f"duplicates: {len(totals.duplicates):,} contents more than once, {shown_size(totals.wasted_bytes)} too many"
    )
    for group in totals.duplicates[:DUPLICATES_SHOWN_MAX]:
        click.echo(f"  {len(group.paths):,} × {shown_size(group.size_bytes)}: {', '.join(group.paths[:2])} …")
