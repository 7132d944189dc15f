"""Acceptance behaviour 63: a signal is consumed once, kept while its step does not wait, and refused with a reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve, frozen

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import (
    Flow,
    FlowDefinitionError,
    InvalidArgument,
    InvalidSignal,
    Kernel,
    NotASignal,
    OtherShape,
    ResumeTokenExpired,
    ResumeTokenUnknown,
    RunHandle,
    RunNotFound,
    RunStatus,
    SentSignal,
    SignalConflict,
    SignalFate,
    SignalNotAwaited,
    SignalWaiting,
    StepStatus,
    UnknownFlow,
)
from fairlead.kernel.definition.options import SignalOptions
from fairlead.kernel.fetching import fetch_payload
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Contention, Unavailable
from tests.support.courses import began, finish, statuses, told
from tests.support.hands import Hands
from tests.support.troubled import PatientClock, Troubled, kernel_over

DAYS_3 = timedelta(days=3)
IN_TIME: SignalOptions = {"timeout": DAYS_3}
UNKNOWN = "0197f000-0000-7000-8000-000000000001"


@frozen
class Approval:
    """What a manager says."""

    approved: bool
    by: str = "nobody"


def order(late: SignalOptions = IN_TIME) -> Flow[Any]:
    """A step, an approval behind it, for which there are three days unless told otherwise, and a step behind that."""
    flow = Flow("order", version=1, base_delay=0)

    @flow.step
    def assess() -> str:
        return "high"

    flow.signal("approval", Approval, after=[assess], **late)

    @flow.step
    def charge(approval: Approval | None) -> str:
        return "paid" if approval and approval.approved else "declined"

    return flow


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


YES = {"approved": True, "by": "ada"}


async def waiting(world: Ports, flow: Flow[Any] | None = None) -> tuple[Kernel, RunHandle, Hands]:
    """A run whose approval is waited for."""
    run, hands = await began(world, flow or order())
    await hands.complete(await hands.claim_task(), "high")

    assert (await statuses(run))["approval"] == StepStatus.SUSPENDED
    return hands.kernel, run, hands


async def test_a_signal_ends_the_wait(world: Ports) -> None:
    """The payload is the output of the step, and its dependents are queued in the transaction that accepts it."""
    kernel, run, hands = await waiting(world)

    answer = await kernel.signal(run.id, "approval", Approval(approved=True, by="ada"))

    assert answer == SentSignal(run_id=run.id, step="approval", fate=SignalFate.DELIVERED, repeated=False)
    assert await run.output("approval") == Approval(approved=True, by="ada")
    assert [task.key.step for task in await hands.claim_tasks()] == ["charge"]
    events = [event.type for event in (await run.details()).events if event.step == "approval"]
    assert events == ["step.started", "step.suspended", "step.resumed", "step.completed"]


async def test_no_host_holds_anything_while_a_signal_is_waited_for(world: Ports, clock: ManualClock) -> None:
    """Nothing to claim, no lease, no attempt; nothing is due before the time for the signal is over."""
    _, run, hands = await waiting(world)

    clock.advance(DAYS_3 - timedelta(seconds=1))

    assert await hands.claim_tasks() == []
    assert (await hands.wake(), await hands.reap()) == (0, 0)
    (task,) = [task for task in (await run.details()).tasks if task.key.step == "approval"]
    assert (task.status, task.attempts, task.worker, task.lease_until) == ("suspended", 0, None, None)


@pytest.mark.fault(16)
@pytest.mark.parametrize("claimed", [False, True])
async def test_a_signal_that_comes_early_is_kept(world: Ports, claimed: bool) -> None:
    """Whether its run was claimed yet or not. It is consumed once, and no wait is told of: there was none."""
    kernel = Kernel(flows=[order()], ports=world)
    hands, run = Hands(kernel), await kernel.start("order", None)
    if claimed:
        await hands.claim_runs()

    answer = await kernel.signal(run.id, "approval", YES)
    await hands.claim_runs()
    await hands.complete(await hands.claim_task(), "high")

    assert answer.fate is SignalFate.KEPT
    assert await run.output("approval") == Approval(approved=True, by="ada")
    assert [task.key.step for task in await hands.claim_tasks()] == ["charge"]
    (signal,) = await world.persistence.read_signals(run.id)
    assert signal.consumed_at == world.clock.now()
    events = [event.type for event in (await run.details()).events if event.step == "approval"]
    assert events == ["step.started", "step.completed"]


@pytest.mark.fault(16)
async def test_a_kept_signal_of_a_first_step(world: Ports) -> None:
    """It is there already when the run is claimed, which completes what is a signal and no more."""
    flow = Flow("ask", version=1)
    flow.signal("answer", int)
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start("ask", None)
    await kernel.signal(run.id, "answer", 42)

    await Hands(kernel).claim_runs()

    assert await run.result() == {"answer": 42}
    assert [event.type for event in (await run.details()).events] == [
        "run.created",
        "run.started",
        "step.started",
        "step.completed",
        "run.completed",
    ]


async def test_what_is_kept_for_one_step_is_not_for_another(world: Ports) -> None:
    """Each takes its own, whichever begins to wait first; a kept signal does not disturb steps that take none."""
    flow = Flow("two", version=1)
    flow.signal("first", int)

    @flow.step
    def between(first: int) -> int:
        return first

    flow.signal("second", int, after=[between])
    kernel = Kernel(flows=[flow], ports=world)
    run, hands = await kernel.start("two", None), Hands(kernel)
    await kernel.signal(run.id, "second", 2)
    await hands.claim_runs()

    before = await statuses(run)
    await kernel.signal(run.id, "first", 1)
    await finish(hands, {"between": 1})

    assert before == {"first": "suspended", "between": "created", "second": "created"}
    assert await run.result() == {"second": 2}


# Repetitions


@pytest.mark.fault(63)
@pytest.mark.parametrize("kept", [False, True])
async def test_the_same_key_counts_once(world: Ports, kept: bool) -> None:
    """The same answer, told as a repetition; also after the step went on, and after the run has ended."""
    kernel, run, _ = await waiting(world)
    if kept:
        run = await kernel.start("order", None)
    first = await kernel.signal(run.id, "approval", YES, key="mail-7")

    again = await kernel.signal(run.id, "approval", YES, key="mail-7")
    await run.cancel()
    later = await kernel.signal(run.id, "approval", YES, key="mail-7")

    assert (first.repeated, again.repeated, later.repeated) == (False, True, True)
    assert first.fate is again.fate is later.fate is (SignalFate.KEPT if kept else SignalFate.DELIVERED)
    assert len(await world.persistence.read_signals(run.id)) == 1
    assert len(await told(run, "step.completed")) == (0 if kept else 2)


async def test_the_same_key_with_another_payload_is_a_conflict(world: Ports) -> None:
    """P7: what was sent first counts."""
    kernel, run, _ = await waiting(world)
    await kernel.signal(run.id, "approval", YES, key="mail-7")

    with pytest.raises(SignalConflict, match="another payload with key 'mail-7'"):
        await kernel.signal(run.id, "approval", {"approved": False}, key="mail-7")

    assert await run.output("approval") == Approval(approved=True, by="ada")


async def test_equal_payloads_are_equal_however_they_are_written(world: Ports) -> None:
    """Compared is what is stored: canonical JSON of the step's type."""
    kernel, run, _ = await waiting(world)
    await kernel.signal(run.id, "approval", {"by": "ada", "approved": True}, key="k")

    again = await kernel.signal(run.id, "approval", Approval(approved=True, by="ada"), key="k")

    assert again.repeated


@pytest.mark.fault(63)
async def test_one_signal_is_kept_for_a_step(world: Ports) -> None:
    """A second one would take the place of the first, or be lost; it is refused, whatever it carries."""
    kernel = Kernel(flows=[order()], ports=world)
    run = await kernel.start("order", None)
    await kernel.signal(run.id, "approval", YES, key="one")

    with pytest.raises(SignalWaiting, match="a signal with key 'one' is kept for it already"):
        await kernel.signal(run.id, "approval", YES, key="two")

    assert [signal.key for signal in await world.persistence.read_signals(run.id)] == ["one"]


async def test_signals_without_a_key_are_different_ones(world: Ports) -> None:
    """Nobody can tell that the second is meant to be the first."""
    kernel, run, _ = await waiting(world)
    await kernel.signal(run.id, "approval", YES)

    with pytest.raises(SignalNotAwaited, match=r"step 'approval' of run .* is completed"):
        await kernel.signal(run.id, "approval", YES)


# Too late


async def test_a_signal_does_not_come_in_time(world: Ports, clock: ManualClock) -> None:
    """The step fails as timed out, and its run with it; a signal that comes after that is refused and tells why."""
    kernel, run, hands = await waiting(world)
    clock.advance(DAYS_3)

    woken = await hands.wake()

    details = await run.details()
    step = next(step for step in details.steps if step.slug == "approval")
    assert (woken, details.run.status, details.run.reason) == (1, RunStatus.FAILED, "timed_out")
    assert (step.status, step.reason) == (StepStatus.FAILED, "timed_out")
    assert step.error == details.run.error
    assert b"no signal for step 'approval' came by 2026-01-04 00:00:00 UTC" in (step.error or b"")
    assert await told(run, "step.resumed") == []
    assert list(details.attempts) == []
    with pytest.raises(SignalNotAwaited, match="is failed and takes no signal any more") as raised:
        await kernel.signal(run.id, "approval", YES)
    assert (raised.value.step, raised.value.status) == (None, "failed")


async def test_a_late_signal_may_skip_its_step(world: Ports, clock: ManualClock) -> None:
    """`on_timeout="skip"`: its dependents see None; the step itself takes no signal any more."""
    kernel, run, hands = await waiting(world, order({"timeout": DAYS_3, "on_timeout": "skip"}))
    clock.advance(DAYS_3)
    await hands.wake()

    with pytest.raises(SignalNotAwaited, match=r"step 'approval' of run .* is skipped"):
        await kernel.signal(run.id, "approval", YES)
    ran = await finish(hands, {"charge": "declined"})

    assert ran == ["charge"]
    assert await run.output("approval") is None
    assert await run.result() == {"charge": "declined"}
    step = next(step for step in (await run.details()).steps if step.slug == "approval")
    assert (step.status, step.reason) == (StepStatus.SKIPPED, "timed_out")


async def test_a_late_signal_may_skip_all_that_follows(world: Ports, clock: ManualClock) -> None:
    """`on_timeout="skip_cascade"`."""
    _, run, hands = await waiting(world, order({"timeout": DAYS_3, "on_timeout": "skip_cascade"}))
    clock.advance(DAYS_3)

    await hands.wake()

    assert await statuses(run) == {"assess": "completed", "approval": "skipped", "charge": "skipped"}
    assert await run.status() == RunStatus.COMPLETED


@pytest.mark.fault(63)
async def test_a_signal_whose_time_is_over_counts_until_that_is_recorded(world: Ports, clock: ManualClock) -> None:
    """Hosts may have been away: what came before anybody looked is not refused."""
    kernel, run, hands = await waiting(world)
    clock.advance(DAYS_3 * 2)

    await kernel.signal(run.id, "approval", YES)

    assert await hands.wake() == 0
    assert await run.output("approval") == Approval(approved=True, by="ada")


async def test_a_signal_without_a_timeout_is_waited_for(world: Ports, clock: ManualClock) -> None:
    """Ten years later it is still welcome."""
    kernel, run, hands = await waiting(world, order({}))
    clock.advance(timedelta(days=3650))

    woken = await hands.wake()
    await kernel.signal(run.id, "approval", YES)

    assert woken == 0
    assert (await statuses(run))["approval"] == StepStatus.COMPLETED


async def test_a_signal_for_a_skipped_step(world: Ports) -> None:
    """Its condition is unmet: nothing waits for an answer."""
    flow = Flow("maybe", version=1)

    @flow.step
    def assess() -> dict[str, str]:
        return {"risk": "low"}

    flow.signal("approval", bool, when={"assess": {"risk": "high"}})
    run, hands = await began(world, flow)
    await hands.complete(await hands.claim_task(), {"risk": "low"})

    with pytest.raises(SignalNotAwaited):
        await hands.kernel.signal(run.id, "approval", payload=True)


@pytest.mark.fault(63)
@pytest.mark.parametrize("end", ["cancelled", "completed"])
async def test_a_signal_for_a_run_that_has_ended(world: Ports, end: str) -> None:
    """It is told how the run ended, and nothing is put down."""
    kernel, run, hands = await waiting(world, order({}))
    if end == "cancelled":
        await run.cancel()
    else:
        await kernel.signal(run.id, "approval", YES, key="first")
        await finish(hands, {"charge": "paid"})
    before = list(await world.persistence.read_signals(run.id))

    with pytest.raises(SignalNotAwaited, match=f"run {run.id} is {end}"):
        await kernel.signal(run.id, "approval", YES, key="second")

    assert list(await world.persistence.read_signals(run.id)) == before


# What is no signal


async def test_a_payload_that_does_not_fit(world: Ports) -> None:
    """Every problem is told with its path, and nothing was sent."""
    kernel, run, _ = await waiting(world)

    with pytest.raises(InvalidSignal) as raised:
        await kernel.signal(run.id, "approval", {"approved": "yes", "bye": "ada"}, key="")

    assert [path for path, _ in raised.value.problems] == ["$.bye", "key", "$.approved"]
    assert "signal for step 'approval' of flow 'order'" in str(raised.value)
    assert (await statuses(run))["approval"] == StepStatus.SUSPENDED
    assert list(await world.persistence.read_signals(run.id)) == []


async def test_a_payload_without_what_later_steps_need(world: Ports) -> None:
    """An array to map over and a time to sleep until: told to the sender, who can do better, not to the run."""
    flow = Flow("answers", version=1)
    answer = flow.signal("answer", dict[str, Any])

    @flow.map(over="answer.items")
    def each(item: object) -> object:
        return item

    flow.sleep("pause", until="answer.send_at")
    run, hands = await began(world, flow)

    with pytest.raises(InvalidSignal) as raised:
        await hands.kernel.signal(run.id, answer, {"items": 7, "send_at": "tomorrow"})
    await hands.kernel.signal(run.id, answer, {"items": [1, 2], "send_at": None})

    assert [path for path, _ in raised.value.problems] == ["$.items", "$.send_at"]
    assert len(await hands.claim_tasks()) == 2
    assert (await statuses(run))["pause"] == StepStatus.COMPLETED


async def test_steps_that_take_no_signal(world: Ports) -> None:
    """A step of another kind, and one that there is not: told which there are."""
    kernel, run, _ = await waiting(world)

    with pytest.raises(NotASignal, match="step 'charge' takes no signal; those of flow 'order' that do are approval"):
        await kernel.signal(run.id, "charge", "paid")
    with pytest.raises(FlowDefinitionError, match="approval"):
        await kernel.signal(run.id, "aproval", YES)


async def test_runs_that_cannot_be_signalled(world: Ports) -> None:
    """No such run; one of a flow that this kernel does not have; one of another shape of it."""
    kernel, run, _ = await waiting(world)
    other = Flow("order", version=1)
    other.signal("approval", int)
    without, reshaped = Kernel(flows=[], ports=world), Kernel(flows=[other], ports=world)

    with pytest.raises(RunNotFound):
        await kernel.signal(UNKNOWN, "approval", YES)
    with pytest.raises(UnknownFlow):
        await without.signal(run.id, "approval", YES)
    with pytest.raises(OtherShape):
        await reshaped.signal(run.id, "approval", 3)
    with pytest.raises(InvalidArgument, match="run_id must be text"):
        await kernel.signal(7, "approval", YES)  # type: ignore[call-overload]


# Answers that are lost


@pytest.mark.fault(22)
@pytest.mark.parametrize("kept", [False, True])
async def test_a_signal_whose_answer_was_lost_is_recognised(world: Ports, kept: bool) -> None:
    """Tried again it finds its own work: no repetition, and it counts once. So it is without a key, too."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, order())
    run, hands = await kernel.start("order", None), Hands(kernel)
    if not kept:
        await hands.claim_runs()
        await hands.complete(await hands.claim_task(), "high")
    troubled.commit_error = [CommitUnknown("lost")]

    answer = await kernel.signal(run.id, "approval", YES)

    assert (answer.fate, answer.repeated) == (SignalFate.KEPT if kept else SignalFate.DELIVERED, False)
    assert len(await world.persistence.read_signals(run.id)) == 1


@pytest.mark.fault(22)
async def test_a_signal_whose_answer_was_lost_is_recognised_in_the_next_generation(world: Ports) -> None:
    """Between the tries it is used, the run ends and is begun anew from its step, which waits again. It was sent, and
    the earlier generation keeps its payload, which lies in a blob."""
    troubled = Troubled(world.persistence)
    flow = Flow("essay", version=1)
    text = flow.signal("text", str)
    host, hands = Kernel(flows=[flow], ports=world), Hands(Kernel(flows=[flow], ports=world))
    run = await host.start("essay", None)
    await hands.claim_runs()

    class Ended:
        """Troubled persistence in which a run is begun anew while its sender pauses."""

        def __init__(self) -> None:
            self.transactions = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(troubled, name)

        @asynccontextmanager
        async def transaction(self) -> AsyncGenerator[Any]:
            self.transactions += 1
            if self.transactions == 2:
                await host.run(run.id).rerun("text")
            async with troubled.transaction() as transaction:
                yield transaction

    ended: Any = Ended()
    kernel = Kernel(flows=[flow], ports=evolve(world, persistence=ended), inline_bytes_max=8)
    troubled.commit_error = [CommitUnknown("lost")]

    answer = await kernel.signal(run.id, text, "a large answer")

    assert (answer.fate, answer.repeated) == (SignalFate.DELIVERED, False)
    assert (await statuses(run))["text"] == StepStatus.SUSPENDED
    (signal,) = await world.persistence.read_signals(run.id)
    assert await fetch_payload(world.blobs, signal.payload) == b'"a large answer"'


@pytest.mark.fault(23)
async def test_a_signal_that_was_rolled_back_is_sent_again(world: Ports) -> None:
    """A deadlock, say; nobody hears of it."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, order())
    run = await kernel.start("order", None)
    troubled.commit_error = [Contention("locked")]

    answer = await kernel.signal(run.id, "approval", YES)

    assert (answer.fate, answer.repeated) == (SignalFate.KEPT, False)


async def test_a_signal_of_which_nothing_is_known_may_be_repeated(world: Ports) -> None:
    """After a lost answer every further failure says that it may have been sent; asked with its key, it has. Its
    payload is kept for it, wherever it is."""
    troubled = Troubled(world.persistence)
    ports: Any = evolve(world, persistence=troubled)
    kernel = Kernel(flows=[order()], ports=ports, inline_bytes_max=8)
    run = await kernel.start("order", None)
    troubled.commit_error = [CommitUnknown("lost")]
    troubled.load_error = [None, Unavailable("the server is down")]

    with pytest.raises(CommitUnknown, match="the server is down"):
        await kernel.signal(run.id, "approval", YES, key="k")
    answer = await kernel.signal(run.id, "approval", YES, key="k")

    assert (answer.fate, answer.repeated) == (SignalFate.KEPT, True)
    assert len([blob.key async for blob in world.blobs.list(f"runs/{run.id}/")]) == 1


# Large payloads


async def test_a_large_payload_goes_to_blobs(world: Ports) -> None:
    """The row refers to it, readers get it whole; the blobs of a repetition go again."""
    flow = Flow("essay", version=1)
    text = flow.signal("text", list[str])
    kernel = Kernel(flows=[flow], ports=world, inline_bytes_max=100)
    run, value = await kernel.start("essay", None), ["word"] * 100
    await kernel.signal(run.id, text, value, key="k")

    again = await kernel.signal(run.id, text, value, key="k")
    with pytest.raises(SignalConflict):
        await kernel.signal(run.id, text, [*value, "more"], key="k")
    await Hands(kernel).claim_runs()

    assert again.repeated
    assert await run.output(text) == value
    (signal,) = await world.persistence.read_signals(run.id)
    assert signal.payload.startswith(b" ")
    keys = [blob.key async for blob in world.blobs.list(f"runs/{run.id}/")]
    assert len(keys) == 1
    assert keys[0].startswith(f"runs/{run.id}/text/signal/")


# Resume tokens


async def test_a_resume_token_answers_without_any_id(world: Ports) -> None:
    """The token alone leads to the step; it is not stored."""
    kernel, run, _ = await waiting(world)
    token = await kernel.resume_token(run.id, "approval", expires_in=timedelta(days=1))

    answer = await kernel.resume(token, YES)

    assert answer == SentSignal(run_id=run.id, step="approval", fate=SignalFate.DELIVERED, repeated=False)
    assert await run.output("approval") == Approval(approved=True, by="ada")
    (signal,) = await world.persistence.read_signals(run.id)
    assert token not in signal.key


async def test_a_resume_token_is_good_for_one_answer(world: Ports) -> None:
    """The same answer again is recognised; another one is a conflict."""
    kernel, run, _ = await waiting(world)
    token = await kernel.resume_token(run.id, "approval")
    await kernel.resume(token, YES)

    again = await kernel.resume(token, YES)

    assert (again.repeated, again.fate) == (True, SignalFate.DELIVERED)
    with pytest.raises(SignalConflict):
        await kernel.resume(token, {"approved": False})


async def test_of_two_resume_tokens_one_answer_counts(world: Ports) -> None:
    """Two people were asked: the second is told that there is nothing to answer any more."""
    kernel, run, _ = await waiting(world)
    first, second = [await kernel.resume_token(run.id, "approval") for _ in range(2)]
    await kernel.resume(first, YES)

    with pytest.raises(SignalNotAwaited):
        await kernel.resume(second, {"approved": False})

    assert first != second
    assert await run.output("approval") == Approval(approved=True, by="ada")


async def test_a_resume_token_expires(world: Ports, clock: ManualClock) -> None:
    """It is refused from then on, unless it is the repetition of an answer that was accepted."""
    kernel, run, _ = await waiting(world)
    used, unused = [await kernel.resume_token(run.id, "approval", expires_in=60) for _ in range(2)]
    await kernel.resume(used, YES)
    clock.advance(timedelta(seconds=60))

    again = await kernel.resume(used, YES)

    assert again.repeated
    with pytest.raises(ResumeTokenExpired, match="expired at 2026-01-01 00:01:00 UTC"):
        await kernel.resume(unused, YES)


async def test_a_resume_token_may_be_used_early(world: Ports) -> None:
    """Before its step waits: the answer is kept."""
    kernel = Kernel(flows=[order()], ports=world)
    run, hands = await kernel.start("order", None), Hands(kernel)
    token = await kernel.resume_token(run.id, "approval")

    answer = await kernel.resume(token, YES)
    await hands.claim_runs()
    await hands.complete(await hands.claim_task(), "high")

    assert answer.fate is SignalFate.KEPT
    assert (await statuses(run))["approval"] == StepStatus.COMPLETED


async def test_resume_tokens_that_are_none(world: Ports) -> None:
    """Whatever text it is; nothing tells how near it comes."""
    kernel, _, _ = await waiting(world)

    for token in ("", "nonsense", "a" * 10_000, "\0", "\ud800"):
        with pytest.raises(ResumeTokenUnknown):
            await kernel.resume(token, YES)
    with pytest.raises(InvalidArgument, match="token must be text"):
        await kernel.resume(7, YES)  # type: ignore[arg-type]


async def test_resume_tokens_that_are_not_made(world: Ports) -> None:
    """For steps that take no signal, runs that have ended, and no time at all."""
    kernel, run, _ = await waiting(world)

    with pytest.raises(NotASignal):
        await kernel.resume_token(run.id, "charge")
    for wrong in (0, -1, True, "tomorrow", float("nan")):
        with pytest.raises(InvalidArgument, match="expires_in must be"):
            await kernel.resume_token(run.id, "approval", expires_in=wrong)  # type: ignore[arg-type]
    with pytest.raises(RunNotFound):
        await kernel.resume_token(UNKNOWN, "approval")
    await run.cancel()
    with pytest.raises(SignalNotAwaited):
        await kernel.resume_token(run.id, "approval")


async def test_a_resume_token_is_answered_with_what_fits(world: Ports) -> None:
    """A wrong answer does not use it up."""
    kernel, run, _ = await waiting(world)
    token = await kernel.resume_token(run.id, "approval")

    with pytest.raises(InvalidSignal):
        await kernel.resume(token, {"approved": "perhaps"})
    await kernel.resume(token, YES)

    assert (await statuses(run))["approval"] == StepStatus.COMPLETED


async def test_a_run_that_fails_as_it_begins_to_wait(world: Ports) -> None:
    """In one transaction: what waits ends with the run, what was answered early has its answer."""
    flow = Flow("doomed", version=1)
    flow.signal("early", int)
    flow.signal("asked", int, timeout=60)
    flow.sleep("pause", 60)

    @flow.step(when={"input": {"fine": True}}, on_unmet="fail")
    def act(input: dict[str, bool]) -> None: ...

    kernel = Kernel(flows=[flow], ports=world)
    run, hands = await kernel.start("doomed", {"fine": False}), Hands(kernel)
    await kernel.signal(run.id, "early", 1)

    await hands.claim_runs()

    details = await run.details()
    assert (details.run.status, details.run.reason) == (RunStatus.FAILED, "condition_unmet")
    ended = {"early": "completed", "asked": "cancelled", "pause": "cancelled", "act": "failed"}
    assert await statuses(run) == ended
    assert {task.key.step: task.status for task in details.tasks} == {
        slug: status for slug, status in ended.items() if slug != "act"
    }
    assert await hands.wake() == 0
