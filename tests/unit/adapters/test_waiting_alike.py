"""The same seeded course of waiting, signals, timeouts and losses in memory and in PostgreSQL: the same in both.

After every command both gave the same answer, or raised the same error; every few commands, and at the end, both hold
the same rows and break no invariant.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock, MemoryWakeups, SequentialIds, memory_ports
from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Flow, Kernel, Suspend
from fairlead.ports import Ports
from fairlead.ports.errors import FairleadError
from fairlead.ports.records import ClaimedTask
from tests.support.hands import LEASE, Hands
from tests.unit.adapters.postgres.conftest import create_tables

SEEDS = range(12)
COMMANDS = 80
COMPARED_EVERY = 10
SECONDS = (0, 5, 20, 45, 120)
"""By how much the clock is moved at a time: less than a lease, more, and past a signal's end."""


def order() -> Flow[Any]:
    """Everything that can wait: a step with a check, signals with and without end, a sleep, and steps behind them."""
    flow = Flow[Any]("order", version=1, run_timeout=1200)

    @flow.step(max_attempts=2, base_delay=3)
    def batch(input: object) -> object | Suspend[int]:
        return input

    @flow.check(batch)
    def batch_is_ready(state: int) -> object | Suspend[int]:
        return state

    approval = flow.signal("approval", object, timeout=100, on_timeout="skip")
    nap = flow.sleep("nap", 30, after=[batch])
    review = flow.signal("review", object, after=[nap], timeout=300, on_timeout="skip_cascade")

    @flow.step(after=[approval, review], max_attempts=2, base_delay=3)
    def ship(review: object) -> object:
        return review

    flow.signal("receipt", object, after=[ship])
    return flow


class Side:
    """One store, with a host worked by hand."""

    def __init__(self, ports: Ports) -> None:
        self.clock = ManualClock()
        self.ports = evolve(
            ports,
            clock=self.clock,
            sink=CollectingSink(),
            transport=MemoryWakeups(self.clock),
            new_id=SequentialIds(),
            new_secret=SequentialIds(1_000_000),
        )
        self.kernel = Kernel(flows=[order()], ports=self.ports)
        self.hands = Hands(self.kernel)
        self.held: list[ClaimedTask] = []
        self.runs: list[str] = []

    async def rows(self) -> tuple[object, object, dict[str, object]]:
        """All that readers see, and what does not hold."""
        store = self.ports.persistence
        seen = [
            (
                await store.read_run(run),
                sorted(await store.read_steps(run), key=lambda step: (step.generation, step.slug)),
                list(await store.read_tasks(run)),
                list(await store.read_attempts(run)),
                list(await store.read_events(run)),
                list(await store.read_signals(run)),
            )
            for run in self.runs
        ]
        now, ids = self.clock.now(), self.kernel.flow_ids
        due = await store.due(flow_ids=ids, queues=["default"], now=now, expired_before=now)
        return seen, due, dict(await store.check_invariants())


Command = Callable[[Side], Awaitable[object]]


class Course:
    """Draws commands. What a command needs of the state it looks up when it is carried out, on each side alike."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def next(self) -> tuple[str, Command]:
        """The next command and its name."""
        draw = self._random.choice
        commands: list[Command] = [_start, _claim_runs, _claim_tasks, _claim_tasks, _wake, _wake, _expire, _reap, _beat]
        place = self._random.randrange(1_000)
        commands += [_with_task(act, place) for act in (_complete, _complete, _fail, _suspend, _suspend, _release)]
        slug, key, value = draw(("approval", "review", "receipt")), draw(("a", "b")), draw((1, None))
        commands += [_signal(place, slug, key, value)] * 3
        commands += [_pass(draw(SECONDS))] * 3
        if self._random.random() < 0.3:
            commands += [_cancel(place), _rerun(place, draw(("batch", "nap", "review"))), _answer(place, slug, value)]
        command = draw(commands)
        return command.__qualname__, command


async def _start(side: Side) -> object:
    run = (await side.kernel.start("order", 1)).id
    side.runs.append(run)
    return run


async def _claim_runs(side: Side) -> object:
    claimed = await side.hands.claim_runs()
    side.held += claimed
    return claimed


async def _claim_tasks(side: Side) -> object:
    claimed = await side.hands.claim_tasks()
    side.held += claimed
    return claimed


async def _wake(side: Side) -> object:
    return await side.hands.wake()


async def _expire(side: Side) -> object:
    return await side.hands.expire()


async def _reap(side: Side) -> object:
    return await side.hands.reap()


async def _beat(side: Side) -> object:
    return await side.hands.heartbeat(*side.held)


def _with_task(act: Callable[[Side, ClaimedTask], Awaitable[object]], place: int) -> Command:
    """Do something with one of the tasks that were claimed, which may be stale by now, and may stay in hand."""

    async def with_task(side: Side) -> object:
        if not side.held:
            return None
        task = side.held[place % len(side.held)]
        if place % 5:
            side.held.remove(task)
        return await act(side, task)

    return with_task


async def _complete(side: Side, task: ClaimedTask) -> object:
    return await side.hands.complete(task, 1)


async def _fail(side: Side, task: ClaimedTask) -> object:
    return await side.hands.fail(task)


async def _suspend(side: Side, task: ClaimedTask) -> object:
    if task.key.step != "batch":
        return await side.hands.complete(task, 2)
    check_after, give_up_after = timedelta(seconds=10), timedelta(seconds=90)
    return await side.hands.suspend(task, task.token, check_after=check_after, give_up_after=give_up_after)


async def _release(side: Side, task: ClaimedTask) -> object:
    return await side.hands.release(task)


def _of_run(act: Callable[[Side, str], Awaitable[object]], place: int) -> Command:
    async def of_run(side: Side) -> object:
        return await act(side, side.runs[place % len(side.runs)]) if side.runs else None

    return of_run


def _signal(place: int, slug: str, key: str, value: object) -> Command:
    return _of_run(lambda side, run: side.kernel.signal(run, slug, value, key=key), place)


def _cancel(place: int) -> Command:
    return _of_run(lambda side, run: side.kernel.cancel(run, reason="enough"), place)


def _rerun(place: int, slug: str) -> Command:
    return _of_run(lambda side, run: side.kernel.rerun(run, slug), place)


def _answer(place: int, slug: str, value: object) -> Command:
    """Answer a signal step with a token, twice."""

    async def answer(side: Side, run: str) -> object:
        token = await side.kernel.resume_token(run, slug, expires_in=60)
        return [await side.kernel.resume(token, value), await side.kernel.resume(token, value)]

    return _of_run(answer, place)


def _pass(seconds: int) -> Command:
    async def passing(side: Side) -> object:
        side.clock.advance(timedelta(seconds=seconds))
        return side.clock.now()

    return passing


@pytest.fixture
def url(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[str]:
    """The URL of a fresh database that has the tables."""
    with database_factory(template_factory("migrated", create_tables)) as made:
        yield made


@pytest.fixture
async def sides(url: str) -> AsyncGenerator[tuple[Side, Side]]:
    """The two stores."""
    memory, postgres = Side(memory_ports()), Side(postgres_ports(url))
    yield memory, postgres
    await memory.ports.aclose()
    await postgres.ports.aclose()


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_stores_answer_alike(sides: tuple[Side, Side], seed: int) -> None:
    """Whatever is done to runs that wait, the two cannot be told apart."""
    course = Course(seed)
    done: list[str] = []
    for number in range(COMMANDS):
        name, command = course.next()
        memory, postgres = [await _answer_of(command, side) for side in sides]
        done.append(f"{name} → {memory!r}")

        assert memory == postgres, "\n".join(done[-5:])
        if number % COMPARED_EVERY == 0:
            await _assert_alike(sides, done)
    for _ in range(4):
        for side in sides:
            side.clock.advance(LEASE * 20)
            for command in (_reap, _wake, _expire, _claim_runs, _claim_tasks):
                await command(side)
    await _assert_alike(sides, done)


async def _answer_of(command: Command, side: Side) -> object:
    try:
        return await command(side)
    except FairleadError as error:
        return type(error), str(error)


async def _assert_alike(sides: tuple[Side, Side], done: list[str]) -> None:
    memory, postgres = [await side.rows() for side in sides]

    assert memory == postgres, "\n".join(done)
    assert memory[2] == {}, "\n".join(done)
