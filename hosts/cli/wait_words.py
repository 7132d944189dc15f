"""What a suspended task waits for, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ports.reading import TaskRecord
from ...ports.records import WaitsFor
from .output import print_table, shown_time

FOR: Mapping[WaitsFor, str] = {
    WaitsFor.CHECK: "its check",
    WaitsFor.SIGNAL: "a signal",
    WaitsFor.TIME: "a time",
}


def wait_words(task: TaskRecord) -> str:
    """What one suspended task waits for, and until when, as the end of a sentence."""
    assert task.waits_for is not None, "it is suspended"
    place = task.key.step
    match task.waits_for:
        case WaitsFor.SIGNAL:
            limit = "for as long as it takes" if task.wake_at is None else f"until {shown_time(task.wake_at)}"
            return f"{place} waits for a signal, {limit}"
        case WaitsFor.TIME:
            return f"{place} waits until {shown_time(task.wake_at)}"
        case WaitsFor.CHECK:
            limit = "" if task.give_up_at is None else f", and gives up at {shown_time(task.give_up_at)}"
            return f"{place} is suspended; its next check is due at {shown_time(task.wake_at)}{limit}"


def print_waits(tasks: Sequence[TaskRecord]) -> None:
    """Write what the suspended ones among some tasks wait for."""
    rows = [_row(task, task.waits_for) for task in tasks if task.waits_for is not None]
    if rows:
        print_table(["WAITING", "FOR", "NEXT LOOK", "UNTIL", ">CHECKS"], rows)


def _row(task: TaskRecord, waits_for: WaitsFor) -> tuple[str, ...]:
    """Step, what for, when it is looked at next, when its wait ends at the latest, and how often it was checked."""
    looked_at = shown_time(task.wake_at) if waits_for is WaitsFor.CHECK else "-"
    until = shown_time(task.give_up_at if waits_for is WaitsFor.CHECK else task.wake_at)
    return task.key.step, FOR[waits_for], looked_at, until, str(task.checks) if waits_for is WaitsFor.CHECK else "-"
