"""Rerunning: what begins anew, what stays, and which runs have nothing left to be done."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.kernel.commands import RerunRun, RestartedRun
from fairlead.kernel.decisions.rerun import restart_of
from fairlead.kernel.errors import NothingToRerun, RunNotEnded
from fairlead.kernel.plan import Plan
from fairlead.ports.records import RunRow, StepRow
from fairlead.ports.statuses import TERMINAL_RUN, RunStatus, StepStatus
from tests.support.deciding import Deciding, flow, map_over, step
from tests.support.records import run_id

PLAN = flow(step("a"), step("b", "a"), map_over("a", "each"), step("last", "b", "each"))


def restarted(
    *steps: str,
    run: RunStatus = RunStatus.FAILED,
    keep_elements: bool = False,
    dry_run: bool = False,
    plan: Plan = PLAN,
    **rows: dict[str, Any],
) -> RestartedRun:
    """What a rerun does to a run whose steps have completed, but for what is said of them."""
    deciding = Deciding(plan)
    deciding.claim_run()
    row: RunRow = replace(deciding.row, status=run, generation=3)
    found: dict[str, StepRow] = {}
    for slug in plan.steps:
        complete = replace(
            deciding.step(slug), status=StepStatus.COMPLETED, elements=1, remaining_tasks=0, generation=3
        )
        found[slug] = replace(complete, **rows.get(slug, {}))
    command = RerunRun(run_id=run_id(1), steps=steps, keep_elements=keep_elements, dry_run=dry_run)
    return restart_of(command, row, found, plan)


FAILED = {"status": StepStatus.FAILED}
SKIPPED = {"status": StepStatus.SKIPPED}
CANCELLED = {"status": StepStatus.CANCELLED}


def test_what_has_not_ended_well_begins_anew_with_what_depends_on_it() -> None:
    """In order of definition; the rest keeps its rows, skipped or completed."""
    restart = restarted(b=FAILED, each=SKIPPED, last=CANCELLED)

    assert restart == RestartedRun(
        run_id=run_id(1),
        found=RunStatus.FAILED,
        generation=4,
        steps=("b", "last"),
        elements={},
        took_effect=True,
    )


def test_a_named_step_begins_anew_although_it_ended_well() -> None:
    """With all that follows; a dry run says the same, and that nothing was done."""
    restart = restarted("each", run=RunStatus.COMPLETED, dry_run=True)

    assert (restart.found, restart.steps, restart.took_effect) == (RunStatus.COMPLETED, ("each", "last"), False)
    assert restarted("a").steps == tuple(PLAN.steps)


@pytest.mark.parametrize("status", sorted({*RunStatus} - TERMINAL_RUN))
def test_a_run_that_has_not_ended_cannot_begin_anew(status: RunStatus) -> None:
    """It is named with where it stands."""
    with pytest.raises(RunNotEnded) as refusal:
        restarted("a", run=status)

    assert (refusal.value.run_id, refusal.value.status) == (run_id(1), status)


def test_a_run_of_which_everything_ended_well_has_nothing_to_rerun() -> None:
    """What was tolerated is told, since that can be retried."""
    with pytest.raises(NothingToRerun) as refusal:
        restarted(run=RunStatus.COMPLETED, each={"elements": 9, "failed_tasks": 2}, b=SKIPPED)

    error = refusal.value
    assert (error.run_id, error.status, error.step, error.failed) == (run_id(1), "completed", None, {"each": 2})


def test_a_retry_keeps_the_elements_that_have_outputs() -> None:
    """Elements that are missing, failed or were never ended begin anew; what follows the map does as a whole."""
    failed = {**FAILED, "elements": 10, "gaps": 1, "remaining_tasks": 2, "failed_tasks": 3}

    restart = restarted(each=failed, last=CANCELLED, keep_elements=True)

    assert (restart.steps, restart.elements) == (("each", "last"), {"each": 5})


def test_a_retry_keeps_nothing_behind_what_begins_anew() -> None:
    """The elements of a map are other ones then, and of a map without outputs there is nothing to keep."""
    failed = {**FAILED, "elements": 10, "failed_tasks": 3}

    assert restarted(a=FAILED, each=failed, keep_elements=True).elements == {}
    assert restarted(each={**failed, "failed_tasks": 10}, keep_elements=True).elements == {}
    assert restarted(each={**FAILED, "elements": None}, keep_elements=True).elements == {}
    assert restarted(each=failed).elements == {}


@pytest.mark.parametrize("left", [FAILED, {"failed_tasks": 1}, {**SKIPPED, "failed_tasks": 1}, CANCELLED])
def test_a_step_is_retried_of_which_something_failed(left: dict[str, Any]) -> None:
    """Tolerated or not; one that the run's end cut short, too."""
    assert restarted("each", each={"elements": 4, **left}, keep_elements=True).steps == ("each", "last")


def test_a_step_of_which_nothing_failed_is_not_retried() -> None:
    """The error names it, also where another one has failed."""
    with pytest.raises(NothingToRerun) as refusal:
        restarted("each", b=FAILED, keep_elements=True)

    error = refusal.value
    assert (error.run_id, error.status, error.step, error.failed) == (run_id(1), "failed", "each", {})
