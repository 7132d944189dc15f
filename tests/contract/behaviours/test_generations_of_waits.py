"""Behaviours 60 to 64 together: what waits begins to wait anew in a new generation, and nothing of before counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import (
    Flow,
    Kernel,
    RunHandle,
    RunStatus,
    SignalConflict,
    SignalFate,
    SignalNotAwaited,
    SignalSpent,
    SignalWaiting,
    Suspend,
)
from fairlead.ports import Ports
from fairlead.ports.records import TaskPhase
from tests.support.hands import Hands
from tests.support.troubled import PatientClock

HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


def patient() -> Flow[Any]:
    """An answer, a sleep behind it, and slow work behind that; two hours for all."""
    flow = Flow("patient", version=1, run_timeout=2 * HOUR, max_attempts=1)
    answer = flow.signal("answer", str)
    pause = flow.sleep("pause", HOUR, after=[answer])

    @flow.step(after=[pause])
    def compute() -> str | Suspend[int]:
        return ""

    @flow.check(compute)
    def is_ready(state: int) -> str | Suspend[int]:
        return str(state)

    return flow


async def begun(world: Ports) -> tuple[Hands, RunHandle]:
    """A run that waits for its answer."""
    kernel = Kernel(flows=[patient()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("patient", None)
    await hands.claim_runs()
    return hands, run


async def to_the_end(hands: Hands, run: RunHandle, clock: ManualClock, key: str, value: str) -> None:
    """Answer, wait, compute, and check once."""
    sent = await hands.kernel.signal(run.id, "answer", value, key=key)
    assert sent.fate is SignalFate.DELIVERED
    clock.advance(HOUR.total_seconds())
    assert await hands.wake() == 1
    await hands.suspend(await hands.claim_task(), 7, check_after=timedelta(0))
    assert await hands.wake() == 1
    task = await hands.claim_task()
    assert task.phase is TaskPhase.CHECK
    await hands.complete(task, value)


async def test_what_waited_waits_anew(world: Ports, clock: ManualClock) -> None:
    """The answer is another one, the sleep begins from then, and slow work is begun and not checked."""
    hands, run = await begun(world)
    await to_the_end(hands, run, clock, "first", "old")
    assert await run.result() == {"compute": "old"}
    clock.advance(10)

    await run.rerun("answer")

    record = await run.read()
    assert record.deadline_at == world.clock.now() + 2 * HOUR
    await to_the_end(hands, run, clock, "second", "new")
    assert await run.result() == {"compute": "new"}
    assert await run.output("answer") == "new"


async def test_an_answer_that_was_used_is_not_used_again(world: Ports, clock: ManualClock) -> None:
    """Its sender is told so, as long as the new generation waits; with another answer there, it was just repeated."""
    hands, run = await begun(world)
    await to_the_end(hands, run, clock, "first", "old")
    await run.rerun("answer")

    with pytest.raises(SignalSpent, match="waits again") as refusal:
        await run.signal("answer", "old", key="first")
    with pytest.raises(SignalSpent):
        await run.signal("answer", "new", key="first")

    assert (refusal.value.run_id, refusal.value.step, refusal.value.key) == (run.id, "answer", "first")
    steps = {(step.slug, step.generation): str(step.status) for step in (await run.details()).steps}
    assert steps["answer", 2] == "suspended"
    await run.signal("answer", "new", key="second")
    assert (await run.signal("answer", "old", key="first")).repeated
    with pytest.raises(SignalConflict):
        await run.signal("answer", "new", key="first")
    assert await run.output("answer") == "new"


async def test_an_answer_that_was_used_is_not_kept_for_a_step_that_is_to_wait_again(world: Ports) -> None:
    """What is before it is done again, too, and comes first."""
    flow = Flow("early", version=1)

    @flow.step
    def before() -> None: ...

    flow.signal("answer", str, after=[before])
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("early", None)
    await hands.drain(None)
    await run.signal("answer", "old", key="first")
    await run.result()
    await run.rerun(before)

    with pytest.raises(SignalSpent):
        await run.signal("answer", "old", key="first")
    assert (await run.signal("answer", "new", key="second")).fate is SignalFate.KEPT


async def test_a_token_answers_one_generation(world: Ports, clock: ManualClock) -> None:
    """One that was used is refused where its step waits again; one that was not used, or is new, answers."""
    hands, run = await begun(world)
    used, unused = [await run.resume_token("answer") for _ in range(2)]
    await hands.kernel.resume(used, "old")
    assert (await hands.kernel.resume(used, "old")).repeated
    await run.cancel()
    await run.rerun("answer")

    with pytest.raises(SignalSpent):
        await hands.kernel.resume(used, "old")
    await hands.kernel.resume(unused, "new")

    assert await run.output("answer") == "new"


async def test_an_answer_that_was_kept_is_used_by_the_next_generation(world: Ports, clock: ManualClock) -> None:
    """It was sent before its step waited, and the run was cancelled before it did."""
    flow = Flow("early", version=1)

    @flow.step
    def before() -> None: ...

    flow.signal("answer", str, after=[before])
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("early", None)
    await hands.claim_runs()
    kept = await kernel.signal(run.id, "answer", "yes", key="early")
    await run.cancel()

    with pytest.raises(SignalNotAwaited):
        await kernel.signal(run.id, "answer", "no", key="late")
    await run.retry()
    await hands.drain(None)

    assert kept.fate is SignalFate.KEPT
    assert await run.result() == {"answer": "yes"}


@pytest.mark.fault(65)
async def test_waits_of_the_old_generation_are_over(world: Ports, clock: ManualClock) -> None:
    """Its sleeps and checks do not come due any more, nor does its deadline."""
    hands, run = await begun(world)
    await run.cancel()
    clock.advance(HOUR.total_seconds())
    await run.retry()
    clock.advance(HOUR.total_seconds() + 60)

    assert await hands.wake() == 0
    assert await hands.expire() == 0
    assert await run.status() is RunStatus.RUNNING
    clock.advance(HOUR.total_seconds())
    assert await hands.expire() == 1
    assert (await run.read()).reason == "timed_out"


async def test_a_run_that_timed_out_is_retried(world: Ports, clock: ManualClock) -> None:
    """From where it was, with all of its time again."""
    hands, run = await begun(world)
    await hands.kernel.signal(run.id, "answer", "yes", key="first")
    clock.advance(2 * HOUR.total_seconds())
    await hands.expire()

    answer = await run.retry()

    assert (answer.found, answer.steps) == (RunStatus.FAILED, ("pause", "compute"))
    assert await run.output("answer") == "yes"
    clock.advance(HOUR.total_seconds())
    assert await hands.wake() == 1
    await hands.complete(await hands.claim_task(), "done")
    assert await run.result() == {"compute": "done"}


async def test_an_answer_may_come_ahead_of_its_step_in_every_generation(world: Ports) -> None:
    """What an earlier generation has used is not kept for this one: it neither stands in the way nor counts again."""
    flow = Flow("drafts", version=1)
    flow.step(lambda: None, slug="draft")
    flow.signal("verdict", str, after=["draft"])
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("drafts", None)
    await hands.claim_runs()
    await hands.complete(await hands.claim_task())
    await run.signal("verdict", "poor", key="first")
    await run.rerun("draft")

    ahead = await run.signal("verdict", "good", key="second")
    with pytest.raises(SignalWaiting):
        await run.signal("verdict", "better", key="third")
    await hands.complete(await hands.claim_task())

    assert ahead.fate is SignalFate.KEPT
    assert await run.result() == {"verdict": "good"}
