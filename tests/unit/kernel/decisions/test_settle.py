"""Settling and reaping: one rule each, on a run that a few lines bring to where it matters."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.kernel.commands import Outcome, OutcomeKind, RunRequest, Verdict
from fairlead.kernel.decisions import progress
from fairlead.kernel.decisions.attempts import Attempts
from fairlead.kernel.decisions.handover import HandOver
from fairlead.kernel.decisions.settle import settle_tasks
from fairlead.kernel.decisions.settled import Settled
from fairlead.kernel.decisions.start import start_run
from fairlead.kernel.dispatch.announcing import jobs_of_changes
from fairlead.kernel.plan import Plan
from fairlead.ports.records import ClaimedTask, Lease, Snapshot, TaskRow
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.deciding import FLOW_ID, Deciding, capacity, flow, lengths, map_over, step
from tests.support.random_flows import completed, failed
from tests.support.records import LEASE_S, START, at, run_id


def released(task: ClaimedTask) -> Outcome:
    """What a host gives back without having tried."""
    return Outcome(key=task.key, token=task.token, flow_id=task.flow_id, kind=OutcomeKind.RELEASED)


def lease_of(task: ClaimedTask) -> Lease:
    """The claim as its host remembers it."""
    return Lease(task.key, task.token)


def two_runs(plan: Plan) -> tuple[Deciding, ClaimedTask, ClaimedTask]:
    """Two runs of a flow, and the first task of each, claimed."""
    deciding = Deciding(plan)
    request = RunRequest(flow_id=FLOW_ID, input=b"{}", facts=None)
    deciding.model.insert(start_run(request, FLOW_ID, plan, run_id=run_id(2), now=START))
    first, second = deciding.claim_run(capacity(2)).claimed
    return deciding, first, second


def test_the_last_task_completes_its_step_and_the_next_is_handed_over() -> None:
    """One transaction from the outcome to the lease on what follows."""
    deciding = Deciding(flow(step("a"), step("b", "a")))
    (task,) = deciding.claim_run(capacity(1)).claimed

    settled = deciding.settle(completed(task), host=capacity(1))

    assert settled.verdicts == {lease_of(task): Verdict.SETTLED}
    assert [each.key for each in settled.changes.claimed] == [deciding.key("b")]
    assert deciding.told[-2:] == ["step.completed a", "step.started b"]
    assert not jobs_of_changes(
        settled.changes, {deciding.run: deciding.plan}, flow_ids={deciding.run: 1}, now=START, delivers=True
    )


@pytest.mark.fault(67)
def test_a_join_waits_for_all() -> None:
    """A step starts with the last of its dependencies, also where they end in one batch."""
    deciding = Deciding(flow(step("a"), step("b"), step("c", "a", "b")))
    first, second = deciding.claim_run(capacity(2)).claimed

    deciding.settle(completed(first))
    assert deciding.step("c").status is StepStatus.CREATED
    deciding.settle(completed(second))

    assert deciding.step("c").status is StepStatus.RUNNING


def test_a_window_moves_on_as_tasks_end() -> None:
    """`max_concurrency`: the next element is inserted when one is terminal, not when one is tried again."""
    deciding = Deciding(flow(map_over("input", "each", max_concurrency=2)), facts=lengths(input=4))
    first, second = deciding.claim_run(capacity(2)).claimed
    assert len(deciding.model.tasks) == 2

    deciding.settle(failed(second))
    assert len(deciding.model.tasks) == 2
    deciding.settle(completed(first))

    assert len(deciding.model.tasks) == 3


def test_a_failed_attempt_is_tried_again_until_they_are_used_up() -> None:
    """Then the task fails, its step, the run; what was live is cancelled."""
    deciding = Deciding(flow(step("a", max_attempts=2), step("other")))
    deciding.claim_run()
    deciding.settle(failed(deciding.claim("a")))
    assert (deciding.task("a").status, deciding.task("a").settled_token) == (TaskStatus.QUEUED, 1)
    assert deciding.model.ready_at[deciding.key("a")] > START

    deciding.settle(failed(deciding.claim("a")))

    assert [deciding.task(slug).status for slug in ("a", "other")] == ["failed", "cancelled"]
    assert deciding.row.status is RunStatus.FAILED
    assert deciding.told[-3:] == ["task.retrying a", "step.failed a", "run.failed a"]


def test_what_cannot_help_is_not_tried_again() -> None:
    """`non_retryable` and `GiveUp` arrive here as not retryable."""
    deciding = Deciding(flow(step("a")))
    (task,) = deciding.claim_run(capacity(1)).claimed

    deciding.settle(failed(task, retryable=False))

    assert deciding.task("a").status is TaskStatus.FAILED


def test_a_released_attempt_is_not_spent() -> None:
    """The task is queued again at once, and nothing is told."""
    deciding = Deciding(flow(step("a", max_attempts=1)))
    (task,) = deciding.claim_run(capacity(1)).claimed
    before = deciding.told

    settled = deciding.settle(released(task))

    assert (deciding.task("a").status, deciding.task("a").attempts) == (TaskStatus.QUEUED, 0)
    assert deciding.told == before
    (job,) = jobs_of_changes(
        settled.changes, {deciding.run: deciding.plan}, flow_ids={deciding.run: 1}, now=START, delivers=True
    )
    assert job.task == deciding.key("a")


@pytest.mark.fault(39)
def test_a_stale_token_changes_nothing() -> None:
    """Its task was lost and claimed by another host."""
    deciding = Deciding(flow(step("a")))
    (old,) = deciding.claim_run(capacity(1)).claimed
    deciding.reap(deciding.task("a"), now=at(LEASE_S + 9), before=at(LEASE_S + 1))
    new = deciding.claim("a")

    settled = deciding.settle(completed(old))

    assert settled.verdicts == {lease_of(old): Verdict.STALE}
    assert settled.changes.empty
    assert deciding.settle(completed(new)).verdicts == {lease_of(new): Verdict.SETTLED}


@pytest.mark.fault(22)
def test_a_repeated_command_recognises_its_own_effect() -> None:
    """After an unknown commit the same outcome is settled, and written no second time."""
    deciding = Deciding(flow(step("a")))
    (task,) = deciding.claim_run(capacity(1)).claimed
    deciding.settle(completed(task))

    again = deciding.settle(completed(task))

    assert again.verdicts == {lease_of(task): Verdict.SETTLED}
    assert again.changes.empty


def test_in_one_batch_what_completed_counts_before_what_failed() -> None:
    """A failure ends the run, so the outcomes beside it are recorded first, and later ones are stale."""
    deciding = Deciding(flow(map_over("input", "each")), facts=lengths(input=3))
    first, second, third = deciding.claim_run(capacity(3)).claimed

    settled = deciding.settle(failed(first, retryable=False), failed(second, retryable=False), completed(third))

    assert [settled.verdicts[lease_of(task)] for task in (first, second, third)] == ["settled", "stale", "settled"]
    assert [deciding.task("each", element).status for element in range(3)] == ["failed", "cancelled", "completed"]


@pytest.mark.parametrize("absent", [Verdict.STALE, Verdict.DEFERRED])
def test_a_run_that_could_not_be_locked(absent: Verdict) -> None:
    """Its outcomes get the verdict that the command says, and nothing changes."""
    deciding = Deciding(flow(step("a")))
    (task,) = deciding.claim_run(capacity(1)).claimed
    nothing = deciding.model.snapshot([], [])

    settled = deciding.settle(completed(task), snapshot=nothing, absent=absent)

    assert settled.verdicts == {lease_of(task): absent}
    assert settled.changes.empty


def test_an_output_that_no_map_can_work_over_fails_its_own_step() -> None:
    """It is the task's fault, not the map's: the error names the map and what was found."""
    deciding = Deciding(flow(step("a"), map_over("a", "each")))
    (task,) = deciding.claim_run(capacity(1)).claimed

    settled = deciding.settle(completed(task, lengths(a="a string")))

    (update,) = settled.changes.tasks
    assert (update.status, update.reason, update.output) == (TaskStatus.FAILED, "not_an_array", None)
    assert update.error is not None
    assert b"the map 'each' works over 'a', which should be an array and is a string" in update.error


def test_a_chain_of_empty_maps_asks_for_the_steps_it_reaches() -> None:
    """Neighbours do not do: the run is named, nothing is decided; with all steps it completes."""
    plan = flow(step("a"), map_over("a", "b"), map_over("b", "c"), step("d", "c"))
    deciding = Deciding(plan)
    (task,) = deciding.claim_run(capacity(1)).claimed
    outcome = completed(task, lengths(a=0))
    near = deciding.model.snapshot([task.key], deciding.neighbours("a"))

    assert deciding.settle(outcome, snapshot=near).incomplete == [deciding.run]
    deciding.settle(outcome)

    assert [deciding.step(slug).status for slug in plan.steps] == ["completed", "completed", "completed", "running"]


def test_where_the_rules_raise_the_tasks_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours ends one run as `internal_error`, and the hand-over's slots go to others."""
    deciding = Deciding(flow(step("a"), step("b", "a")))
    (task,) = deciding.claim_run(capacity(1)).claimed

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(progress.RunProgress, "task_completed", broken)
    settled = deciding.settle(completed(task), host=capacity(1))

    assert [update.reason for update in settled.changes.tasks] == ["internal_error"]
    assert settled.verdicts == {lease_of(task): Verdict.SETTLED}
    assert settled.unrecorded == {lease_of(task)}
    assert deciding.row.status is RunStatus.FAILED


@pytest.mark.fault(78)
def test_where_the_rules_raise_over_that_failure_as_well_the_run_fails_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of its tasks is recorded, and the other run of the batch does not notice."""
    deciding, broken, sound = two_runs(flow(step("a")))
    apply = progress.RunProgress.is_live

    def raising(self: progress.RunProgress, slug: str) -> bool:
        if self.run.id == run_id(1):
            raise ZeroDivisionError
        return apply(self, slug)

    monkeypatch.setattr(progress.RunProgress, "is_live", raising)
    settled = deciding.settle(completed(broken), completed(sound))

    assert settled.verdicts == {lease_of(broken): Verdict.STALE, lease_of(sound): Verdict.SETTLED}
    assert [(run.id, run.status, run.reason) for run in settled.changes.runs] == [
        (run_id(1), RunStatus.FAILED, "internal_error"),
        (run_id(2), RunStatus.COMPLETED, None),
    ]


@pytest.mark.fault(78)
def test_where_the_rules_raise_over_a_lost_lease_one_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leases of the others are taken back in the same decision."""
    deciding, broken, sound = two_runs(flow(step("a")))
    lose = Attempts.lose

    def raising(self: Attempts, task: TaskRow) -> None:
        if task.key == broken.key:
            raise ZeroDivisionError
        lose(self, task)

    monkeypatch.setattr(Attempts, "lose", raising)
    settled = deciding.reap(*deciding.model.tasks.values(), now=at(LEASE_S + 9), before=at(LEASE_S + 1))

    assert settled.verdicts == {lease_of(broken): Verdict.STALE, lease_of(sound): Verdict.SETTLED}
    assert [run.status for run in deciding.model.runs.values()] == [RunStatus.FAILED, RunStatus.RUNNING]
    assert deciding.model.events[run_id(1)][-1]["reason"] == "internal_error"
    assert deciding.model.tasks[sound.key].status is TaskStatus.QUEUED


def test_whose_output_nobody_records_is_told() -> None:
    """What a handler wrote aside goes with it, in every run of the batch."""
    deciding, first, second = two_runs(flow(step("a"), map_over("a", "each")))

    settled = deciding.settle(*(completed(task, lengths(a="a string")) for task in (first, second)))

    assert settled.unrecorded == {lease_of(first), lease_of(second)}


def test_what_came_too_late_is_not_recorded_unless_another_has_completed_the_task() -> None:
    """Then what it wrote may be what the task refers to: collectors of what nothing refers to decide about it."""
    deciding = Deciding(flow(step("a")))
    (old,) = deciding.claim_run(capacity(1)).claimed
    deciding.reap(deciding.task("a"), now=at(LEASE_S + 9), before=at(LEASE_S + 1))
    new = deciding.claim("a")

    while_it_runs = deciding.settle(completed(old))
    deciding.settle(completed(new))
    when_it_is_done = deciding.settle(completed(old))

    assert while_it_runs.unrecorded == {lease_of(old)}
    assert when_it_is_done.unrecorded == set()
    assert when_it_is_done.verdicts == {lease_of(old): Verdict.STALE}


def test_a_decision_that_is_taken_again_takes_its_slots_again() -> None:
    """The first try had handed a task over when it noticed what it lacks."""
    plan = flow(step("a"), step("next", "a"), map_over("a", "b"), map_over("b", "c"), step("d", "c"))
    deciding = Deciding(plan)
    (task,) = deciding.claim_run(capacity(1)).claimed
    outcome = completed(task, lengths(a=0))
    hand_over = HandOver(capacity(1), START)

    def settle(snapshot: Snapshot) -> Settled:
        return settle_tasks(
            [outcome], snapshot, deciding.plans, now=START, hand_over=hand_over, absent=Verdict.DEFERRED
        )

    lacking = settle(deciding.model.snapshot([task.key], deciding.neighbours("a")))
    slots = hand_over.remaining
    settled = settle(deciding.everything([outcome]))

    assert (lacking.incomplete, slots) == ([deciding.run], 1)
    assert ([each.key.step for each in settled.changes.claimed], hand_over.remaining) == (["next"], 0)


@pytest.mark.fault(37)
def test_an_outcome_of_a_task_that_is_gone_changes_nothing() -> None:
    """A database that was restored may lack the task whose handler went on; what else is in the batch counts."""
    deciding = Deciding(flow(step("a"), step("b")))
    gone, there = deciding.claim_run(capacity(2)).claimed
    rows = deciding.everything([completed(there)])

    settled = deciding.settle(completed(gone), completed(there), snapshot=rows)

    assert settled.verdicts == {lease_of(gone): Verdict.STALE, lease_of(there): Verdict.SETTLED}
    assert [update.key for update in settled.changes.tasks] == [there.key]


def test_a_lost_lease_is_no_outcome() -> None:
    """The task is queued at once, its attempt spent, its loss counted; the lost token may still be told from others."""
    deciding = Deciding(flow(step("a", max_attempts=2)))
    deciding.claim_run(capacity(1))

    deciding.reap(deciding.task("a"), now=at(LEASE_S + 9), before=at(LEASE_S + 1))

    task = deciding.task("a")
    assert (task.status, task.attempts, task.losses, task.settled_token) == (TaskStatus.QUEUED, 1, 1, 0)
    assert deciding.told[-1] == "task.retrying a"


@pytest.mark.fault(19)
def test_a_task_that_kills_its_hosts_ends() -> None:
    """With the last attempt's lease the task is lost for good: `worker_lost`."""
    deciding = Deciding(flow(step("a", max_attempts=1)))
    deciding.claim_run(capacity(1))

    settled = deciding.reap(deciding.task("a"), now=at(LEASE_S + 9), before=at(LEASE_S + 1))

    assert [(update.status, update.reason) for update in settled.changes.tasks] == [("failed", "worker_lost")]
    assert (deciding.row.status, deciding.model.outcomes) == (RunStatus.FAILED, [])


@pytest.mark.fault(64)
def test_whoever_was_quicker_than_the_reaper_keeps_the_task() -> None:
    """A heartbeat extended the lease, or the task was claimed anew, since the search for expired leases."""
    deciding = Deciding(flow(step("a")))
    deciding.claim_run(capacity(1))
    found = deciding.task("a")

    for late in (at(LEASE_S), at(LEASE_S - 1)):  # the lease ends exactly then, or later
        assert deciding.reap(found, now=at(99), before=late).changes.empty
    assert deciding.reap(replace(found, token=found.token + 1), now=at(99), before=at(99)).changes.empty

    assert deciding.task("a") == found
