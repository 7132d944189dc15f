"""Signals: what is accepted, what is refused, and with what its sender is told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.kernel.commands import SendSignal, SentSignal, SignalFate
from fairlead.kernel.decisions.signal import Reception, foreseen, receive, sent
from fairlead.kernel.errors import (
    NotASignal,
    ResumeTokenExpired,
    SignalConflict,
    SignalNotAwaited,
    SignalSpent,
    SignalWaiting,
)
from fairlead.kernel.plan import StepKind, StepPlan
from fairlead.ports.callers import SeenRun
from fairlead.ports.errors import UsageError
from fairlead.ports.records import SignalRow
from fairlead.ports.statuses import RunStatus, StepStatus
from tests.support.deciding import Deciding, flow, step
from tests.support.records import START, at, run_id

ASK = StepPlan(slug="ask", kind=StepKind.SIGNAL)
CONFIRM = StepPlan(slug="confirm", kind=StepKind.SIGNAL)
SIGNAL = SendSignal(run_id=run_id(1), step="ask", key="one", payload=b'"yes"', facts=None, digest="of yes")
OTHER = replace(SIGNAL, payload=b'"no"', digest="of no")
REPEATABLE = replace(SIGNAL, expires_at=at(59))

PLACE = {"run_id": run_id(1), "step": "ask"}
SENT = {**PLACE, "key": "one"}
"""What an error names."""


def row(key: str = "one", step: str = "ask", *, consumed: bool = False) -> SignalRow:
    """A signal that was accepted before."""
    return SignalRow(
        run_id=run_id(1),
        step=step,
        key=key,
        request_digest="of yes",
        sent_at=START,
        payload=b'"yes"',
        facts=None,
        consumed_at=at(1) if consumed else None,
    )


def seen(
    status: RunStatus = RunStatus.RUNNING,
    step_status: StepStatus | None = StepStatus.CREATED,
    digest: str | None = None,
    *,
    used: bool = False,
) -> SeenRun:
    """A run as the transaction of its caller sees it."""
    return SeenRun(
        flow="flow",
        version="1",
        fingerprint="shape",
        status=status,
        step_status=step_status,
        signal_digest=digest,
        signal_used=used,
    )


def fields(error: UsageError) -> dict[str, object]:
    """What an error says beside its message."""
    return {name: value for name, value in vars(error).items() if not name.startswith("_")}


def received(
    command: SendSignal = SIGNAL,
    step_status: StepStatus | None = StepStatus.SUSPENDED,
    *signals: SignalRow,
    run_status: RunStatus = RunStatus.RUNNING,
) -> Reception:
    """What is done with a signal to a run of two signals and a step."""
    deciding = Deciding(flow(step("a"), ASK, CONFIRM))
    deciding.claim_run()
    at_step = None if step_status is None else replace(deciding.step("ask"), status=step_status)
    return receive(command, replace(deciding.row, status=run_status), at_step, deciding.plan, signals, now=at(60))


@pytest.mark.parametrize(
    ("step_status", "reception"),
    [(StepStatus.SUSPENDED, Reception.DELIVER), (StepStatus.CREATED, Reception.KEEP), (None, Reception.KEEP)],
)
def test_a_signal_is_delivered_to_whoever_waits_and_kept_for_whoever_does_not_yet(
    step_status: StepStatus | None, reception: Reception
) -> None:
    """A run that nobody has claimed has no rows of its steps."""
    assert received(SIGNAL, step_status) is reception
    assert received(SIGNAL, step_status, row(step="confirm"), row("two", consumed=True)) is reception


@pytest.mark.fault(2, 63)
@pytest.mark.parametrize("command", [SIGNAL, REPEATABLE])
@pytest.mark.parametrize(
    ("step_status", "run_status", "consumed"),
    [
        (StepStatus.COMPLETED, RunStatus.COMPLETED, True),
        (StepStatus.SKIPPED, RunStatus.RUNNING, False),
        (StepStatus.CREATED, RunStatus.RUNNING, False),
        (None, RunStatus.PENDING, False),
        (None, RunStatus.PENDING, True),
    ],
)
def test_a_repetition_is_recognised_whatever_has_become_of_the_step(
    command: SendSignal, step_status: StepStatus | None, run_status: RunStatus, consumed: bool
) -> None:
    """And of the resume token that it was sent with."""
    earlier = row(consumed=consumed)

    assert received(command, step_status, row("two"), earlier, run_status=run_status) is Reception.REPEATED


@pytest.mark.fault(2, 63)
@pytest.mark.parametrize("step_status", [StepStatus.SUSPENDED, StepStatus.CREATED])
def test_what_an_earlier_generation_used_is_spent(step_status: StepStatus) -> None:
    """Where the step waits again, or is to, with the same payload or another."""
    for command in (SIGNAL, OTHER):
        with pytest.raises(SignalSpent) as refusal:
            received(command, step_status, row(consumed=True))

        assert fields(refusal.value) == SENT


def test_another_payload_with_the_same_key_is_a_conflict() -> None:
    """The first one counts."""
    with pytest.raises(SignalConflict) as refusal:
        received(OTHER, StepStatus.CREATED, row())

    assert fields(refusal.value) == SENT


def test_a_token_expires_at_its_time() -> None:
    """A second earlier it has not."""
    with pytest.raises(ResumeTokenExpired):
        received(replace(SIGNAL, expires_at=at(60)))
    assert received(replace(SIGNAL, expires_at=at(61))) is Reception.DELIVER


def test_a_run_that_is_over_takes_no_signal() -> None:
    """The run is named and no step, since no other one would do either."""
    with pytest.raises(SignalNotAwaited) as refusal:
        received(SIGNAL, StepStatus.COMPLETED, run_status=RunStatus.FAILED)

    assert fields(refusal.value) == {**PLACE, "step": None, "status": "failed"}


@pytest.mark.parametrize("status", [StepStatus.COMPLETED, StepStatus.SKIPPED, StepStatus.FAILED, StepStatus.RUNNING])
def test_a_step_that_is_over_takes_no_signal(status: StepStatus) -> None:
    """Another step of the same run may."""
    with pytest.raises(SignalNotAwaited) as refusal:
        received(SIGNAL, status)

    assert fields(refusal.value) == {**PLACE, "status": status}


@pytest.mark.parametrize("name", ["a", "nowhere"])
def test_only_steps_of_signals_take_any(name: str) -> None:
    """The error names those that do."""
    with pytest.raises(NotASignal) as refusal:
        received(replace(SIGNAL, step=name), None)

    assert fields(refusal.value) == {"flow": "flow", "step": name, "signals": ("ask", "confirm")}


def test_one_signal_is_kept_for_a_step() -> None:
    """A second one is told which."""
    with pytest.raises(SignalWaiting) as refusal:
        received(SIGNAL, StepStatus.CREATED, row("two"))

    assert fields(refusal.value) == {**PLACE, "key": "two"}


@pytest.mark.parametrize(
    ("reception", "signals", "fate"),
    [
        (Reception.KEEP, [], SignalFate.KEPT),
        (Reception.DELIVER, [row("two")], SignalFate.DELIVERED),
        (Reception.REPEATED, [row("two"), row()], SignalFate.KEPT),
        (Reception.REPEATED, [row(consumed=True), row("two"), row(step="confirm")], SignalFate.DELIVERED),
    ],
)
def test_a_sender_is_told_what_became_of_the_signal(
    reception: Reception, signals: list[SignalRow], fate: SignalFate
) -> None:
    """Of a repeated one, what has become of the first."""
    told = sent(SIGNAL, reception, signals)

    assert told == SentSignal(run_id=run_id(1), step="ask", fate=fate, repeated=reception is Reception.REPEATED)


def test_a_sender_in_a_transaction_foresees_what_will_be_accepted() -> None:
    """A run that it started itself has no steps yet; an accepted signal is recognised wherever its run stands."""
    assert not foreseen(SIGNAL, seen())
    assert not foreseen(SIGNAL, seen(step_status=StepStatus.SUSPENDED))
    assert not foreseen(SIGNAL, seen(RunStatus.PENDING, None))
    assert foreseen(SIGNAL, seen(digest="of yes"))
    assert foreseen(SIGNAL, seen(RunStatus.FAILED, StepStatus.CANCELLED, "of yes"))
    assert foreseen(SIGNAL, seen(RunStatus.COMPLETED, StepStatus.COMPLETED, "of yes", used=True))
    assert foreseen(SIGNAL, seen(RunStatus.PENDING, None, "of yes", used=True))


@pytest.mark.parametrize(
    ("command", "there", "error", "named"),
    [
        (SIGNAL, seen(digest="of yes", used=True), SignalSpent, SENT),
        (OTHER, seen(step_status=StepStatus.SUSPENDED, digest="of yes", used=True), SignalSpent, SENT),
        (OTHER, seen(digest="of yes"), SignalConflict, SENT),
        (OTHER, seen(RunStatus.COMPLETED, StepStatus.COMPLETED, "of yes", used=True), SignalConflict, SENT),
        (SIGNAL, seen(RunStatus.CANCELLED), SignalNotAwaited, {**PLACE, "step": None, "status": "cancelled"}),
        (SIGNAL, seen(step_status=StepStatus.SKIPPED), SignalNotAwaited, {**PLACE, "status": "skipped"}),
    ],
)
def test_a_sender_in_a_transaction_is_refused_as_any_other(
    command: SendSignal, there: SeenRun, error: type[UsageError], named: dict[str, object]
) -> None:
    """As far as the transaction can see."""
    with pytest.raises(error) as refusal:
        foreseen(command, there)

    assert fields(refusal.value) == named
