"""Telling: what a run's events, rows and attempts say when something ends badly, waits, or is tried again."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
from attrs import evolve

from fairlead.kernel.commands import Verdict
from fairlead.kernel.decisions.state import ChangeSet
from fairlead.kernel.facts import facts_of
from fairlead.kernel.plan import INPUT, Condition, Consequence, Pattern, Plan, StepKind, StepPlan, ValuePath
from fairlead.ports.changes import NewAttempt, RunUpdate, StepWrite
from fairlead.ports.records import Lease
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.deciding import Deciding, capacity, flow, lengths, map_over, step
from tests.support.random_flows import completed, failed, suspended
from tests.support.records import LEASE_S, at

ASK = StepPlan(slug="ask", kind=StepKind.SIGNAL, wait_s=60)
LATE = StepPlan(slug="late", kind=StepKind.SLEEP, until=ValuePath(name=INPUT, path=("at",)))


def last(deciding: Deciding, count: int = 1) -> list[dict[str, object]]:
    """The last events of a run, without their generation."""
    events = deciding.model.events[deciding.run][-count:]
    return [{name: value for name, value in event.items() if name != "generation"} for event in events]


def written(error: object) -> dict[str, object]:
    """What an error says, as far as it says anything."""
    assert isinstance(error, dict)
    return {name: value for name, value in cast(dict[str, object], error).items() if value is not None}


def ends(changes: ChangeSet) -> list[tuple[str | None, bytes | None]]:
    """With what reason and error the rows of steps and of the run are written that end."""
    rows: list[StepWrite | RunUpdate] = [*changes.new_steps, *changes.steps, *changes.runs]
    return [(row.reason, row.error) for row in rows if row.ended_at is not None]


def begun(plan: Plan, data: bytes = b"{}") -> Deciding:
    """A run of a flow, claimed."""
    deciding = Deciding(plan, facts=facts_of(plan.questions[INPUT], data))
    deciding.claim_run(capacity())
    return deciding


def test_events_are_of_a_flow_and_a_generation_and_in_sequence() -> None:
    """Each transaction's follow those before."""
    deciding = Deciding(flow(step("a")))

    claimed = deciding.claim_run(capacity(1))
    settled = deciding.settle(completed(claimed.claimed[0]), now=at(2)).changes

    batches = [(each.flow, each.generation, each.first_sequence, each.count, each.at) for each in claimed.events]
    assert batches == [("flow", 1, 2, 2, at(0))]
    batches = [(each.flow, each.generation, each.first_sequence, each.count, each.at) for each in settled.events]
    assert batches == [("flow", 1, 4, 2, at(2))]


def test_an_attempt_that_failed_is_told_and_kept() -> None:
    """With its error, and when the next one may begin; the first second of waiting has no jitter here."""
    deciding = Deciding(flow(step("a")))
    (task,) = deciding.claim_run(capacity(1)).claimed
    outcome = failed(task)

    settled = deciding.settle(outcome, now=at(3))

    (told,) = last(deciding)
    assert written(told.pop("error")) == {"type": "ValueError", "message": "no", "attempt": 1}
    assert told == {
        "type": "task.retrying",
        "step": "a",
        "element": 0,
        "attempt": 1,
        "reason": "handler_failed",
        "ready_at": "2026-03-01T12:00:04Z",
    }
    assert settled.changes.attempts == [
        NewAttempt(
            key=task.key,
            token=task.token,
            attempt=1,
            worker="host",
            ended_at=at(3),
            reason="handler_failed",
            error=outcome.error,
        )
    ]


@pytest.mark.fault(3)
def test_a_lost_lease_is_told_as_what_it_is() -> None:
    """Who lost it is named; the task is ready at once, and the lease that is given up is that of the attempt."""
    deciding = Deciding(flow(step("a", max_attempts=2)))
    (task,) = deciding.claim_run(capacity(1)).claimed

    settled = deciding.reap(deciding.task("a"), now=at(LEASE_S + 9), before=at(LEASE_S + 1))

    (told,) = last(deciding)
    assert written(told["error"]) == {
        "type": "WorkerLost",
        "attempt": 1,
        "message": "host lost its lease during attempt 1 of 2",
    }
    assert (told["reason"], told["attempt"], told["ready_at"]) == ("worker_lost", 1, "2026-03-01T12:00:39Z")
    assert settled.verdicts == {Lease(task.key, task.token): Verdict.SETTLED}
    (kept,) = settled.changes.attempts
    assert (kept.reason, kept.worker, kept.token, kept.attempt) == ("worker_lost", "host", task.token, 1)


def test_the_failure_of_a_task_is_told_of_its_step_and_its_run() -> None:
    """The step names the element and the attempt; rows and events have the same reason and error."""
    deciding = Deciding(flow(map_over("input", "each")), facts=lengths(input=3))
    *_, third = deciding.claim_run(capacity(3)).claimed
    outcome = failed(third, retryable=False)

    settled = deciding.settle(outcome)

    of_step, of_run = last(deciding, 2)
    assert written(of_step.pop("error")) == written(of_run.pop("error"))
    assert of_step == {
        "type": "step.failed",
        "step": "each",
        "element": 2,
        "attempt": 1,
        "reason": "handler_failed",
    }
    assert of_run == {"type": "run.failed", "reason": "handler_failed", "step": "each"}
    assert ends(settled.changes) == [("handler_failed", outcome.error)] * 2


@pytest.mark.parametrize(("give_up_after_s", "until"), [(None, {}), (9, {"give_up_at": "2026-03-01T12:00:12Z"})])
def test_a_step_that_waits_for_its_check_says_until_when(give_up_after_s: float | None, until: dict[str, str]) -> None:
    """And what it had waited for when it goes on."""
    deciding = Deciding(flow(step("a")))
    (task,) = deciding.claim_run(capacity(1)).claimed

    deciding.settle(suspended(task, check_after_s=5, give_up_after_s=give_up_after_s), now=at(3))

    assert last(deciding) == [
        {"type": "step.suspended", "step": "a", "waits_for": "check", "wake_at": "2026-03-01T12:00:08Z", **until}
    ]
    deciding.wake(deciding.task("a"), now=at(8))
    deciding.settle(completed(deciding.claim("a", now=at(8))), now=at(8))
    assert last(deciding, 3) == [
        {"type": "step.resumed", "step": "a", "waited_for": "check"},
        {"type": "step.completed", "step": "a"},
        {"type": "run.completed"},
    ]


@pytest.mark.parametrize(
    ("waiting", "told"),
    [
        (ASK, {"waits_for": "signal", "wake_at": "2026-03-01T12:01:00Z"}),
        (evolve(ASK, wait_s=None), {"waits_for": "signal"}),
        (LATE, {"waits_for": "time", "wake_at": "2026-03-02T00:00:00Z"}),
    ],
)
def test_a_step_that_waits_says_for_what_and_until_when(waiting: StepPlan, told: dict[str, str]) -> None:
    """Where there is such a time."""
    deciding = begun(flow(waiting), b'{"at":"2026-03-02T00:00:00Z"}')

    assert last(deciding) == [{"type": "step.suspended", "step": waiting.slug, **told}]


def test_a_signal_that_does_not_come_fails_its_task_its_step_and_its_run() -> None:
    """All for the same reason; there was no attempt."""
    deciding = begun(flow(ASK))

    settled = deciding.wake(deciding.task("ask"), now=at(60))

    of_step, of_run = last(deciding, 2)
    error = written(of_step.pop("error"))
    assert error == {"type": "WaitTimedOut", "message": "no signal for step 'ask' came by 2026-03-01 12:01:00 UTC"}
    assert written(of_run["error"]) == error
    assert of_step == {"type": "step.failed", "step": "ask", "element": 0, "reason": "timed_out"}
    (ended,) = settled.changes.resumptions
    assert (ended.status, ended.reason, ended.ended_at) == (TaskStatus.FAILED, "timed_out", at(60))
    assert ends(settled.changes) == [("timed_out", ended.error)] * 2


@pytest.mark.parametrize("asked", [False, True], ids=["never asked", "asked in vain"])
def test_a_step_that_was_not_ready_in_time_may_be_skipped(asked: bool) -> None:
    """The reason tells it from one whose handler failed; the error says how often it was checked."""
    deciding = Deciding(flow(evolve(step("a"), on_exhausted=Consequence.SKIP)))
    (task,) = deciding.claim_run(capacity(1)).claimed
    deciding.settle(suspended(task, check_after_s=5, give_up_after_s=6 if asked else 5))

    deciding.wake(deciding.task("a"), now=at(5))
    if asked:
        deciding.settle(suspended(deciding.claim("a", now=at(5)), check_after_s=5), now=at(6))

    of_step, of_run = last(deciding, 2)
    error = written(of_step.pop("error"))
    often, by = ("checked 1 time", "06") if asked else ("never checked", "05")
    assert error.pop("message") == f"step 'a' was {often} and not ready by 2026-03-01 12:00:{by} UTC, when it gave up"
    assert error == {"type": "WaitTimedOut", **({"attempt": 1} if asked else {})}
    assert of_step == {"type": "step.skipped", "step": "a", "reason": "timed_out"}
    assert of_run == {"type": "run.completed"}
    assert (deciding.task("a").status, deciding.step("a").status) == (TaskStatus.FAILED, StepStatus.SKIPPED)


@pytest.mark.parametrize(
    ("hindered", "data", "reason", "error"),
    [
        (
            evolve(step("a"), condition=Condition(when=(Pattern(INPUT, b'{"go":1}'),)), on_unmet=Consequence.FAIL),
            b"{}",
            "condition_unmet",
            {"type": "ConditionUnmet", "message": "the condition of step 'a' is unmet, and it says on_unmet='fail'"},
        ),
        (
            LATE,
            b'{"at":"soon"}',
            "not_a_time",
            {
                "type": "NotATime",
                "message": "the sleep 'late' lasts until 'input.at', which should be a time with its offset from UTC, "
                "or null, and is text that is no time",
            },
        ),
        (
            map_over("input", "each"),
            b"7",
            "not_an_array",
            {
                "type": "NotAnArray",
                "message": "the map 'each' works over 'input', which should be an array and is a number",
            },
        ),
    ],
)
def test_a_step_that_cannot_start_fails_with_its_run(
    hindered: StepPlan, data: bytes, reason: str, error: dict[str, str]
) -> None:
    """It has no task and no attempt; both events and both rows say why."""
    plan = flow(hindered)
    deciding = Deciding(plan, facts=facts_of(plan.questions[INPUT], data))

    changes = deciding.claim_run()

    of_step, of_run = last(deciding, 2)
    assert written(of_step.pop("error")) == written(of_run.pop("error")) == error
    assert of_step == {"type": "step.failed", "step": hindered.slug, "reason": reason}
    assert of_run == {"type": "run.failed", "reason": reason, "step": hindered.slug}
    assert deciding.row.status is RunStatus.FAILED
    row_of_step, row_of_run = ends(changes)
    assert row_of_step == row_of_run
    assert row_of_run[0] == reason
    assert written(msgspec.json.decode(row_of_run[1] or b"")) == error
    assert not deciding.model.tasks


@pytest.mark.parametrize(
    ("later", "facts", "reason", "error"),
    [
        (
            map_over("a", "each"),
            lengths(a="a string"),
            "not_an_array",
            {
                "type": "NotAnArray",
                "message": "the map 'each' works over 'a', which should be an array and is a string",
            },
        ),
        (
            StepPlan(slug="late", kind=StepKind.SLEEP, dependencies=("a",), until=ValuePath(name="a")),
            b'{"no_times":{"a":"a number"}}',
            "not_a_time",
            {
                "type": "NotATime",
                "message": "the sleep 'late' lasts until 'a', which should be a time with its offset from UTC, or "
                "null, and is a number",
            },
        ),
    ],
)
def test_an_output_that_a_later_step_cannot_use_fails_whoever_made_it(
    later: StepPlan, facts: bytes, reason: str, error: dict[str, object]
) -> None:
    """The attempt is told, and its output is recorded by nobody."""
    deciding = Deciding(flow(step("a"), later))
    (task,) = deciding.claim_run(capacity(1)).claimed

    settled = deciding.settle(completed(task, facts))

    of_step, of_run = last(deciding, 2)
    assert written(of_step.pop("error")) == written(of_run["error"]) == {**error, "attempt": 1}
    assert of_step == {"type": "step.failed", "step": "a", "element": 0, "attempt": 1, "reason": reason}
    assert settled.unrecorded == {Lease(task.key, task.token)}
    (kept,) = settled.changes.attempts
    assert (kept.reason, kept.attempt, kept.ended_at) == (reason, 1, at(0))
