"""The page of statuses, with a chart for each table of transitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from fairlead.kernel.transitions import RUN_TRANSITIONS, STEP_TRANSITIONS, TASK_TRANSITIONS
from fairlead.ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK, RunStatus, StepStatus, TaskStatus

from .page import head

Table = Mapping[tuple[Any, Any], Any]


def statuses_page() -> str:
    """The statuses of runs, steps and tasks, and every way from one to another."""
    return "\n".join(
        [
            *head("Statuses", "kernel/transitions.py"),
            "A status changes as these tables say, or not at all. Terminal statuses have no way out.",
            "",
            *_chart("Runs", RUN_TRANSITIONS, RunStatus.PENDING, RunStatus, TERMINAL_RUN),
            *_chart("Steps", STEP_TRANSITIONS, StepStatus.CREATED, StepStatus, TERMINAL_STEP),
            "A map over an empty array completes from `created`, without ever running.",
            "",
            *_chart("Tasks", TASK_TRANSITIONS, TaskStatus.QUEUED, TaskStatus, TERMINAL_TASK),
            "A task can also be born `running`: handed over to the host that made its step ready.",
            "",
        ]
    )


def _chart(
    title: str, table: Table, first: StrEnum, statuses: type[StrEnum], terminal: frozenset[Any]
) -> Iterator[str]:
    reached = {first, *table.values()}
    yield from (f"## {title}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}")
    yield from (f"    {before} --> {after}: {trigger}" for (before, trigger), after in table.items())
    yield from (f"    {status} --> [*]" for status in statuses if status in terminal & reached)
    yield from ("```", "", "| from | trigger | to |", "|---|---|---|")
    yield from (f"| {before} | {trigger} | {after} |" for (before, trigger), after in table.items())
    yield ""
    unused = [f"`{status}`" for status in statuses if status not in reached]
    if unused:
        yield from (f"Not caused by anything yet: {', '.join(unused)}.", "")
