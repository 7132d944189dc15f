"""Waking: one rule each, on a run that a few lines bring to where it waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve
from msgspec.structs import replace

from fairlead.kernel.commands import RunRequest, SendSignal, Verdict
from fairlead.kernel.decisions.signal import keep_signal
from fairlead.kernel.decisions.start import start_run
from fairlead.kernel.dispatch.announcing import jobs_of_changes
from fairlead.kernel.plan import INPUT, Condition, Pattern, StepKind, StepPlan
from fairlead.ports.records import Lease, WaitsFor
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.deciding import FLOW_ID, Deciding, capacity, flow, lengths, map_over, step
from tests.support.random_flows import suspended
from tests.support.records import START, at, run_id

PAUSE = StepPlan(slug="pause", kind=StepKind.SLEEP, wait_s=60)
ASK = StepPlan(slug="ask", kind=StepKind.SIGNAL, wait_s=60)


def waits_to_be_checked(*, give_up_after_s: float | None = None) -> Deciding:
    """A run whose step has suspended for five seconds."""
    deciding = Deciding(flow(step("a"), step("b", "a")))
    (task,) = deciding.claim_run(capacity(1)).claimed
    deciding.settle(suspended(task, check_after_s=5, give_up_after_s=give_up_after_s))
    return deciding


def test_a_check_is_queued_and_announced() -> None:
    """It is nobody's until a host claims it: the run tells of nothing, and hosts are told."""
    deciding = waits_to_be_checked()
    before = deciding.told

    settled = deciding.wake(deciding.task("a"), now=at(5))

    jobs = jobs_of_changes(
        settled.changes, {deciding.run: deciding.plan}, flow_ids={deciding.run: FLOW_ID}, now=at(5), delivers=True
    )
    assert [(job.task, job.not_before) for job in jobs] == [(deciding.key("a"), at(5))]
    assert (deciding.task("a").status, deciding.step("a").status) == (TaskStatus.QUEUED, StepStatus.SUSPENDED)
    assert deciding.told == before


@pytest.mark.parametrize(("give_up_after_s", "checked"), [(None, True), (6, True), (5, False), (2, False)])
def test_a_check_that_is_due_before_giving_up_is_made(give_up_after_s: float | None, checked: bool) -> None:
    """However late somebody looks; at the time of giving up itself nothing is checked any more."""
    deciding = waits_to_be_checked(give_up_after_s=give_up_after_s)

    deciding.wake(deciding.task("a"), now=at(1_000))

    assert deciding.task("a").status is (TaskStatus.QUEUED if checked else TaskStatus.FAILED)
    assert deciding.row.status is (RunStatus.RUNNING if checked else RunStatus.FAILED)


def test_a_wait_that_was_put_off_since_it_was_found_is_left_alone() -> None:
    """Somebody else was quicker: it was checked, and suspended anew."""
    deciding = waits_to_be_checked()
    found = deciding.task("a")
    deciding.wake(found, now=at(5))
    deciding.settle(suspended(deciding.claim("a", now=at(5)), check_after_s=5), now=at(5))

    settled = deciding.wake(found, now=at(6))

    assert settled.changes.empty
    assert settled.verdicts == {}


def test_what_ends_well_counts_before_what_ends_the_run() -> None:
    """Both are due at the same moment."""
    deciding = Deciding(flow(ASK, PAUSE))
    deciding.claim_run()

    deciding.wake(deciding.task("ask"), deciding.task("pause"), now=at(60))

    assert (deciding.step("pause").status, deciding.step("ask").status) == (StepStatus.COMPLETED, StepStatus.FAILED)
    assert deciding.told[-3:] == ["step.completed pause", "step.failed ask", "run.failed ask"]


@pytest.mark.fault(62)
def test_a_wait_whose_step_has_ended_is_no_failure_of_its_own() -> None:
    """Two elements of a map give up at the same moment: the first fails the step and the run, once."""
    deciding = Deciding(flow(map_over("input", "a")), facts=lengths(input=2))
    tasks = deciding.claim_run(capacity(2)).claimed
    deciding.settle(*(suspended(task, check_after_s=5, give_up_after_s=5) for task in tasks))

    settled = deciding.wake(*(deciding.task("a", element) for element in (0, 1)), now=at(5))

    assert len(settled.verdicts) == 1
    assert {deciding.task("a", element).status for element in (0, 1)} == {TaskStatus.FAILED, TaskStatus.CANCELLED}
    assert deciding.told[-2:] == ["step.failed a", "run.failed a"]
    assert deciding.told.count("step.failed a") == 1


@pytest.mark.fault(13)
def test_a_run_whose_rules_raise_fails_alone() -> None:
    """The facts of one run's input are none; the other one's sleep is over in the same decision."""
    asked = Condition(when=(Pattern(INPUT, b"{}"),))
    plan = flow(PAUSE, StepPlan(slug="act", dependencies=("pause",), condition=asked))
    deciding = Deciding(plan, facts=b"no facts")
    request = RunRequest(flow_id=FLOW_ID, input=b"{}", facts=b'{"matches":[true]}')
    deciding.model.insert(start_run(request, FLOW_ID, plan, run_id=run_id(2), now=START))
    deciding.claim_run()
    tasks = [task for task in deciding.model.tasks.values() if task.waits_for is WaitsFor.TIME]

    settled = deciding.wake(*tasks, now=at(60))

    assert [run.status for run in deciding.model.runs.values()] == [RunStatus.FAILED, RunStatus.RUNNING]
    assert deciding.model.events[deciding.run][-1]["reason"] == "internal_error"
    assert deciding.model.steps[run_id(2), "act"].status is StepStatus.RUNNING
    broken, sound = (Lease(task.key, task.token) for task in tasks)
    assert settled.verdicts == {broken: Verdict.STALE, sound: Verdict.SETTLED}


def test_kept_signals_are_asked_for_where_there_are_some() -> None:
    """A decision that reaches a signal step of such a run is taken again with them; of another run, at once."""
    deciding = Deciding(flow(PAUSE, evolve(ASK, dependencies=("pause",))))
    deciding.claim_run()
    early = SendSignal(run_id=deciding.run, step="ask", key="k", payload=b"1", facts=None, digest="d")
    deciding.model.apply(keep_signal(early, deciding.row, now=START).frozen())

    lacking = deciding.wake(deciding.task("pause"), now=at(60))
    rows = deciding.model.snapshot([deciding.key("pause")], list(deciding.model.steps))
    known = replace(rows, signals={deciding.run: deciding.model.sent(deciding.run)})
    settled = deciding.wake(deciding.task("pause"), now=at(60), snapshot=known)

    assert (lacking.signals, lacking.complete, lacking.changes.empty) == ([deciding.run], False, True)
    assert settled.verdicts.keys() == {Lease(deciding.key("pause"), 0)}
    assert deciding.row.status is RunStatus.COMPLETED
    assert deciding.row.signals == 0


def test_a_run_has_its_deadline_from_its_claim_on() -> None:
    """And none where its flow gives it all the time that it needs."""
    plan = flow(PAUSE)
    hasty = Deciding(evolve(plan, run_timeout_s=90.0))
    hasty.claim_run(now=START + timedelta(seconds=5))
    patient = Deciding(plan)
    patient.claim_run()

    assert (hasty.row.deadline_at, patient.row.deadline_at) == (at(95), None)
