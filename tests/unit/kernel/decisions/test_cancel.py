"""Cancelling: what it does to a run's row, its events and what is live in it."""

from __future__ import annotations

import json

import pytest

from fairlead.kernel.decisions.cancel import cancel_run
from fairlead.ports.changes import Cancellation, Changes, RunUpdate
from fairlead.ports.records import RunRow
from fairlead.ports.statuses import TERMINAL_RUN, RunStatus
from tests.support.deciding import Deciding, capacity, flow, lengths, map_over, step
from tests.support.model_invariants import check_changed, check_rows
from tests.support.records import at, run_id


def row(status: RunStatus) -> RunRow:
    """A locked run."""
    return RunRow(
        id=run_id(1),
        flow_id=7,
        flow="orders",
        status=status,
        generation=2,
        priority=0,
        next_sequence=5,
        remaining_steps=3,
        facts=None,
    )


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING])
def test_a_live_run_ends(status: RunStatus) -> None:
    """One row, one event, and whatever is live below; its counters stay as they are."""
    changes = cancel_run(row(status), "enough", now=at(9))

    (event,) = changes.events
    assert changes.runs == (
        RunUpdate(
            id=run_id(1),
            status=RunStatus.CANCELLED,
            next_sequence=6,
            remaining_steps=3,
            ended_at=at(9),
            reason="enough",
        ),
    )
    assert changes.cancellations == (Cancellation(run_id=run_id(1), at=at(9), reason="run_cancelled"),)
    assert (event.first_sequence, event.count, event.generation, event.at) == (5, 1, 2, at(9))
    assert event.flow == "orders"
    assert json.loads(event.events) == [{"type": "run.cancelled", "reason": "enough"}]


@pytest.mark.parametrize("status", sorted(TERMINAL_RUN))
def test_a_run_that_has_ended_is_left_alone(status: RunStatus) -> None:
    """Terminal is absorbing: I1."""
    assert cancel_run(row(status), "enough", now=at(9)) == Changes()


@pytest.mark.parametrize("claimed", [False, True])
def test_a_cancelled_run_is_sound(claimed: bool) -> None:
    """Whatever its steps and tasks were at; an event without a reason has none."""
    deciding = Deciding(
        flow(map_over("input", "each", max_concurrency=2), step("after", "each")), facts=lengths(input=5)
    )
    if claimed:
        deciding.claim_run(capacity(1))
    before = deciding.model.rows()

    deciding.model.apply(cancel_run(deciding.row, None, now=at(9)))

    check_changed(before, deciding.model)
    check_rows(deciding.model, deciding.plans)
    assert deciding.row.status is RunStatus.CANCELLED
    assert deciding.model.events[deciding.run][-1] == {"type": "run.cancelled", "generation": 1}
