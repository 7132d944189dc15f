"""What waits, while everything else happens to its run: one of the serial orders comes out (FAULTS 16, 62, 63).

Each test brings a run to one point and lets two commands meet there: the first is stopped before its commit, and the
second begins. Then the same two follow each other on a run of its own. What became of both runs is the same, and so is
what both commands answered: no signal is lost or counts twice, no timeout comes beside one, nothing follows a cancel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from fairlead.kernel import Flow, RunHandle, Suspend
from fairlead.ports.errors import UsageError
from fairlead.ports.records import ClaimedTask
from tests.support.hands import Hands
from tests.support.races import Race, race_between
from tests.support.scenes import PATIENCE_S
from tests.support.subjects import StoreSubject

MINUTE = timedelta(minutes=1)

Command: TypeAlias = Callable[[Hands, RunHandle, Mapping[str, ClaimedTask]], Awaitable[object]]


def waits() -> Flow[Any]:
    """A signal behind a step, a step that suspends, one beside both, and one behind all; a minute for each and all."""
    flow = Flow("waits", version=1, max_attempts=1, run_timeout=MINUTE)

    @flow.step
    def ask() -> None: ...

    answer = flow.signal("answer", int, after=[ask], timeout=MINUTE)

    @flow.step
    def compute() -> int | Suspend[int]:
        return 0

    @flow.check(compute)
    def is_ready(state: int) -> int | Suspend[int]:
        return 0

    @flow.step
    def beside() -> None: ...

    @flow.step(after=[answer, compute, beside])
    def last() -> None: ...

    return flow


async def _signal(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    return await hands.kernel.signal(run.id, "answer", 1, key="first")


async def _other_signal(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    return await hands.kernel.signal(run.id, "answer", 2, key="other")


async def _conflicting_signal(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    return await hands.kernel.signal(run.id, "answer", 2, key="first")


async def _cancel(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    return await hands.kernel.cancel(run.id)


async def _wake(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    await hands.wake()
    return None


async def _expire(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    await hands.expire()
    return None


async def _claim(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    await hands.claim_runs()
    return None


def _complete(slug: str) -> Command:
    async def command(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
        return await hands.complete(tasks[slug], 1)

    return command


async def _fail(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    return await hands.fail(tasks["beside"], retryable=False)


async def _suspend(hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    return await hands.suspend(tasks["compute"], 1, check_after=timedelta(0))


COMMANDS: Mapping[str, Command] = {
    "signal": _signal,
    "other signal": _other_signal,
    "conflicting signal": _conflicting_signal,
    "cancel": _cancel,
    "wake": _wake,
    "expire": _expire,
    "claim": _claim,
    "complete ask": _complete("ask"),
    "complete compute": _complete("compute"),
    "fail": _fail,
    "suspend": _suspend,
}
NEVER_WAIT = {"wake", "expire", "claim"}
"""They leave a run that another transaction holds, and find it when they look again."""


@pytest.fixture
async def race(store_subject: StoreSubject) -> AsyncGenerator[Race]:
    """In the end every invariant holds."""
    yield await race_between(store_subject, waits(), Race)

    assert await store_subject.store.check_invariants() == {}


async def pending(race: Race) -> tuple[RunHandle, dict[str, ClaimedTask]]:
    """A run that nobody has claimed."""
    return await race.kernel.start("waits", None), {}


async def asked(race: Race) -> tuple[RunHandle, dict[str, ClaimedTask]]:
    """A run whose first steps are at work: its signal is not waited for yet."""
    run, _ = await pending(race)
    await race.hands.claim_runs()
    return run, {task.key.step: task for task in await race.hands.claim_tasks() if task.key.run_id == run.id}


async def answerable(race: Race) -> tuple[RunHandle, dict[str, ClaimedTask]]:
    """A run whose signal is waited for. The time for that, and for the run, is over, and nobody has looked."""
    run, tasks = await asked(race)
    await race.hands.complete(tasks["ask"])
    race.clock.advance(MINUTE)
    return run, tasks


async def checked(race: Race) -> tuple[RunHandle, dict[str, ClaimedTask]]:
    """A run whose step is being checked, late."""
    run, tasks = await asked(race)
    await race.hands.suspend(tasks["compute"], 1, check_after=timedelta(0), give_up_after=MINUTE * 2)
    await race.hands.wake()
    check = next(task for task in await race.hands.claim_tasks() if task.key.run_id == run.id)
    race.clock.advance(MINUTE)
    return run, {**tasks, "compute": check}


async def checkable(race: Race) -> tuple[RunHandle, dict[str, ClaimedTask]]:
    """A run with a check that is due, and a deadline that has passed."""
    run, tasks = await asked(race)
    await race.hands.suspend(tasks["compute"], 1, check_after=MINUTE)
    race.clock.advance(MINUTE)
    return run, tasks


def meetings() -> list[Any]:
    """Every scene with every pair of commands that can meet there, in both orders."""
    scenes: dict[Any, tuple[str, ...]] = {
        pending: ("signal", "cancel", "claim"),
        asked: ("signal", "conflicting signal", "cancel", "complete ask", "suspend"),
        answerable: ("signal", "other signal", "cancel", "wake", "expire", "fail"),
        checked: ("cancel", "expire", "complete compute", "suspend"),
        checkable: ("cancel", "wake", "expire"),
    }
    return [
        pytest.param(scene, first, second, id=f"{scene.__name__}: {first} and {second}")
        for scene, names in scenes.items()
        for first in names
        for second in names
    ]


@pytest.mark.fault(62, 63)
@pytest.mark.parametrize(("scene", "first", "second"), meetings())
async def test_what_meets_is_as_if_it_followed(
    race: Race, scene: Callable[[Race], Awaitable[tuple[RunHandle, dict[str, ClaimedTask]]]], first: str, second: str
) -> None:
    """The second command waits for the first, or looks again; it answers as if it had come later."""
    run, tasks = await scene(race)
    halted = await race.halt(_answered(first, race.slow, run, tasks))
    behind = asyncio.ensure_future(_answered(second, race.hands, run, tasks))
    await _done_or_waiting(race, behind)
    met = await race.finish(halted, behind)
    if second in NEVER_WAIT:
        await _answered(second, race.hands, run, tasks)
    became = await _became(race, run)

    run, tasks = await scene(race)
    followed = [await _answered(each, race.hands, run, tasks) for each in (first, second)]

    assert met == followed
    assert became == await _became(race, run)


async def _answered(name: str, hands: Hands, run: RunHandle, tasks: Mapping[str, ClaimedTask]) -> object:
    """What a command answers, without the ids in it; a refusal is an answer too."""
    try:
        answer = await COMMANDS[name](hands, run, tasks)
    except UsageError as error:
        answer = error
    return f"{type(answer).__name__}: {answer}".replace(run.id, "run")


async def _done_or_waiting(race: Race, task: asyncio.Task[Any]) -> None:
    waiting = asyncio.ensure_future(race.subject.until_waiting())
    await asyncio.wait({task, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.wait({waiting})


async def _became(race: Race, run: RunHandle) -> object:
    """What there is of a run, without its ids and times."""
    details = await run.details()
    signals = await race.kernel.ports.persistence.read_signals(run.id)
    return (
        (details.run.status, details.run.reason),
        {step.slug: (step.status, step.reason, step.remaining_tasks) for step in details.steps},
        {str(task.key).partition("/")[2]: (task.status, task.reason, task.phase, task.token) for task in details.tasks},
        [(event.type, event.step) for event in details.events],
        [(signal.key, signal.consumed_at is None) for signal in signals],
    )
