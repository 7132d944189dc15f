"""The transition tables: what is in them, and that nothing else is possible."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest

from fairlead.kernel.transitions import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    TASK_TRANSITIONS,
    IllegalTransition,
    RunTrigger,
    StepTrigger,
    TaskTrigger,
    run_after,
    step_after,
    task_after,
)
from fairlead.ports.statuses import (
    LIVE_STEP,
    LIVE_TASK,
    TERMINAL_RUN,
    TERMINAL_STEP,
    TERMINAL_TASK,
    RunStatus,
    StepStatus,
    TaskStatus,
)

TABLES: list[tuple[Mapping[Any, Any], type[StrEnum], type[StrEnum], Callable[[Any, Any], Any]]] = [
    (RUN_TRANSITIONS, RunStatus, RunTrigger, run_after),
    (STEP_TRANSITIONS, StepStatus, StepTrigger, step_after),
    (TASK_TRANSITIONS, TaskStatus, TaskTrigger, task_after),
]

PAIRS = [
    pytest.param(table, after, status, trigger, id=f"{type(status).__name__}-{status}-{trigger}")
    for table, statuses, triggers, after in TABLES
    for status, trigger in itertools.product(statuses, triggers)
]


@pytest.mark.parametrize(("table", "after", "status", "trigger"), PAIRS)
def test_every_pair_is_in_its_table_or_raises(
    table: Mapping[Any, Any], after: Callable[[Any, Any], Any], status: StrEnum, trigger: StrEnum
) -> None:
    """A pair that the table lacks raises, naming status and trigger; the others give what the table says."""
    if (status, trigger) in table:
        assert after(status, trigger) is table[status, trigger]
        return

    with pytest.raises(IllegalTransition) as raised:
        after(status, trigger)

    assert raised.value.status == status
    assert raised.value.trigger == trigger


@pytest.mark.parametrize(
    ("table", "terminal"),
    [(RUN_TRANSITIONS, TERMINAL_RUN), (STEP_TRANSITIONS, TERMINAL_STEP), (TASK_TRANSITIONS, TERMINAL_TASK)],
)
def test_terminal_statuses_have_no_way_out(table: Mapping[Any, Any], terminal: frozenset[Any]) -> None:
    """I1: terminal is absorbing."""
    leaving = {status for status, _ in table}

    assert leaving.isdisjoint(terminal)


@pytest.mark.parametrize(
    ("table", "first", "terminal", "live"),
    [
        (RUN_TRANSITIONS, RunStatus.PENDING, TERMINAL_RUN, frozenset(RunStatus) - TERMINAL_RUN),
        (STEP_TRANSITIONS, StepStatus.CREATED, TERMINAL_STEP, LIVE_STEP),
        (TASK_TRANSITIONS, TaskStatus.QUEUED, TERMINAL_TASK, LIVE_TASK),
    ],
    ids=["runs", "steps", "tasks"],
)
def test_live_is_what_has_a_way_out(
    table: Mapping[Any, Any],
    first: StrEnum,
    terminal: frozenset[Any],
    live: frozenset[Any],
) -> None:
    """The sets of `ports.statuses` say what the tables say: all is reached, and left unless it is terminal."""
    assert {status for status, _ in table} == live
    assert {first, *table.values()} == live | terminal
    assert live | terminal == frozenset(type(first))
    assert not live & terminal


@pytest.mark.parametrize(
    ("table", "live"),
    [
        (RUN_TRANSITIONS, frozenset(RunStatus) - TERMINAL_RUN),
        (STEP_TRANSITIONS, LIVE_STEP),
        (TASK_TRANSITIONS, LIVE_TASK),
    ],
    ids=["runs", "steps", "tasks"],
)
def test_whatever_is_live_can_be_cancelled(table: Mapping[Any, Any], live: frozenset[Any]) -> None:
    """A run is cancelled until it has ended, and its end cancels what is live in it: the tables allow it."""
    assert {status for (status, trigger) in table if trigger.value == "cancel"} == live
