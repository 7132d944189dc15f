"""Claiming pending runs: their steps and first tasks, what is handed over, and what fails at once."""

from __future__ import annotations

import pytest

from fairlead.kernel.commands import RunRequest
from fairlead.kernel.decisions.claim import claim_runs
from fairlead.kernel.decisions.handover import NOBODY, HandOver
from fairlead.kernel.decisions.insertion import MAP_WINDOW_MAX
from fairlead.kernel.decisions.start import start_run
from fairlead.kernel.dispatch.announcing import jobs_of_changes
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.deciding import FLOW_ID, Deciding, capacity, flow, lengths, map_over, step
from tests.support.model import Model
from tests.support.records import LEASE_S, START, at, run_id


def test_a_run_is_born_pending_with_one_event() -> None:
    """`start_run` puts down what was asked for, and the digest that a repeated key is compared with."""
    plan = flow(step("a"))
    request = RunRequest(flow_id=FLOW_ID, input=b'{"n":1}', config=b"{}", key="k", priority=3)

    run = start_run(request, FLOW_ID, plan, run_id=run_id(7), now=START)

    assert (run.id, run.flow, run.key, run.priority, run.created_at) == (run_id(7), "flow", "k", 3, START)
    assert (run.event.first_sequence, run.event.count) == (1, 1)
    assert run.event.events == b'[{"type":"run.created"}]'


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (RunRequest(flow_id=FLOW_ID, input=b'{"n":1}', key="k", priority=9), True),
        (RunRequest(flow_id=FLOW_ID, input=b'{"n":1}', key="other"), True),
        (RunRequest(flow_id=FLOW_ID, input=b'{"n":2}', key="k"), False),
        (RunRequest(flow_id=FLOW_ID, input=b'{"n":1}', key="k", config=b"{}"), False),
        (RunRequest(flow_id=FLOW_ID, input=b'{"n":1}{}', key="k"), False),
    ],
    ids=["priority", "key", "input", "config", "where the input ends"],
)
def test_what_a_repeated_key_is_compared_with(other: RunRequest, same: bool) -> None:
    """Input and config, and where one ends; not the priority."""
    plan = flow(step("a"))
    request = RunRequest(flow_id=FLOW_ID, input=b'{"n":1}', key="k")

    first, second = (
        start_run(each, FLOW_ID, plan, run_id=run_id(1), now=START).request_digest for each in (request, other)
    )

    assert (first == second) is same


def test_a_claim_inserts_every_step_and_the_tasks_of_the_first_ones() -> None:
    """What waits for others has a row without tasks."""
    deciding = Deciding(flow(step("a"), step("b", "a"), map_over("input", "each")), facts=lengths(input=3))

    deciding.claim_run()

    assert deciding.row.status is RunStatus.RUNNING
    assert [deciding.step(slug).status for slug in ("a", "b", "each")] == ["running", "created", "running"]
    assert (deciding.step("b").remaining_dependencies, deciding.step("b").remaining_tasks) == (1, None)
    assert len(deciding.model.tasks) == 4
    assert deciding.told == ["run.created", "run.started", "step.started a", "step.started each"]


def test_a_run_of_empty_maps_completes_in_its_claim() -> None:
    """A chain of maps over nothing needs no task, and no second transaction."""
    deciding = Deciding(flow(map_over("input", "a"), map_over("a", "b"), map_over("b", "c")), facts=lengths(input=0))

    deciding.claim_run()

    assert deciding.row.status is RunStatus.COMPLETED
    assert deciding.told[2:] == ["step.completed a", "step.completed b", "step.completed c", "run.completed"]
    assert deciding.model.tasks == {}


def test_a_map_over_what_is_no_array_fails_its_run() -> None:
    """The steps before it have started by then; nothing of them is left live."""
    deciding = Deciding(flow(step("a"), map_over("input", "each")), facts=lengths(input="null"))

    changes = deciding.claim_run(capacity(5))

    assert deciding.row.status is RunStatus.FAILED
    assert (changes.runs[0].reason, changes.claimed) == ("not_an_array", [])
    assert deciding.told[-1] == "run.failed each"
    assert deciding.step("a").status is StepStatus.CANCELLED


@pytest.mark.fault(78)
def test_a_run_that_cannot_be_evaluated_fails_alone() -> None:
    """Facts that are none: `internal_error` without steps; the next run is claimed, and has the slots."""
    plan = flow(map_over("input", "each"))
    model = Model()
    for number, facts in ((1, b"no facts"), (2, lengths(input=2))):
        request = RunRequest(flow_id=FLOW_ID, input=b"{}", facts=facts)
        model.insert(start_run(request, FLOW_ID, plan, run_id=run_id(number), now=START))

    changes = claim_runs(model.pending(), {FLOW_ID: plan}, now=START, hand_over=HandOver(capacity(2), START))
    model.apply(changes.frozen())

    assert [run.status for run in model.runs.values()] == [RunStatus.FAILED, RunStatus.RUNNING]
    assert changes.runs[0].reason == "internal_error"
    assert [task.key.run_id for task in changes.claimed] == [run_id(2), run_id(2)]


def test_what_finds_a_slot_is_born_leased() -> None:
    """The rest is queued, and announced."""
    deciding = Deciding(flow(map_over("input", "each")), facts=lengths(input=5))

    changes = deciding.claim_run(capacity(2))

    assert [task.key.element for task in changes.claimed] == [0, 1]
    assert {task.lease_until for task in changes.claimed} == {at(LEASE_S)}
    assert deciding.task("each", 1).status is TaskStatus.RUNNING
    assert deciding.task("each", 2).status is TaskStatus.QUEUED
    jobs = jobs_of_changes(changes, {deciding.run: deciding.plan}, flow_ids={deciding.run: 1}, now=START, delivers=True)
    assert [job.task.element for job in jobs if job.task] == [2, 3, 4]
    hints = jobs_of_changes(
        changes, {deciding.run: deciding.plan}, flow_ids={deciding.run: 1}, now=START, delivers=False
    )
    assert [hint.queue for hint in hints] == ["default"]


@pytest.mark.parametrize(
    ("slots", "start_delay_s", "queues", "minimum_priority", "handed_over"),
    [
        (1, 0, ("default",), None, 1),
        (1, 0, ("default",), 5, 1),
        (0, 0, ("default",), None, 0),
        (1, 7, ("default",), None, 0),
        (1, 0, ("bulk",), None, 0),
        (1, 0, ("default",), 6, 0),
    ],
)
def test_what_is_never_handed_over(
    slots: int, start_delay_s: float, queues: tuple[str, ...], minimum_priority: int | None, handed_over: int
) -> None:
    """No slot, a start delay, a queue that the host does not serve, tasks of higher priority that wait."""
    deciding = Deciding(flow(step("a", start_delay_s=start_delay_s)), priority=5)

    changes = deciding.claim_run(capacity(slots, queues=queues, minimum_priority=minimum_priority))

    assert len(changes.claimed) == handed_over
    assert changes.queues_tasks is not bool(handed_over)
    assert deciding.model.ready_at[deciding.key("a")] == at(start_delay_s)


def test_what_is_due_later_is_announced_only_where_each_task_needs_its_message() -> None:
    """A hint would wake somebody for nothing."""
    deciding = Deciding(flow(step("a", start_delay_s=7)))
    changes = deciding.claim_run()
    plans = {deciding.run: deciding.plan}

    assert jobs_of_changes(changes, plans, flow_ids=dict.fromkeys(plans, 1), now=START, delivers=False) == []
    assert [
        job.not_before
        for job in jobs_of_changes(changes, plans, flow_ids=dict.fromkeys(plans, 1), now=START, delivers=True)
    ] == [at(7)]


@pytest.mark.fault(58)
@pytest.mark.parametrize("elements", [0, 1, 100_000])
def test_a_transaction_makes_a_bounded_number_of_tasks(elements: int) -> None:
    """However wide a map is, what its run's lock is held for is a window of it."""
    plan = flow(map_over("input", "each"))
    model = Model()
    request = RunRequest(flow_id=FLOW_ID, input=b"[]", facts=lengths(input=elements))
    model.insert(start_run(request, FLOW_ID, plan, run_id=run_id(1), now=START))

    changes = claim_runs(model.pending(), {FLOW_ID: plan}, now=START, hand_over=HandOver(NOBODY, START))

    assert sum(new.count for new in changes.new_tasks) == min(elements, MAP_WINDOW_MAX)
    assert len(changes.new_tasks) <= 1
