"""Group commit: what goes into a batch, and what happens when the store refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import pytest
from msgspec.structs import replace

from fairlead.adapters.memory import ManualClock
from fairlead.hosts.backoff import Backoff
from fairlead.hosts.settling import APART_PATIENCE_S, MISSES_MAX, SECOND_FROM, SETTLE_BYTES_MAX, Settler
from fairlead.hosts.slots import Slots
from fairlead.kernel import CorruptionError, Kernel
from fairlead.kernel.commands import (
    SETTLE_BATCH_MAX,
    Capacity,
    Outcome,
    OutcomeKind,
    Settlement,
    SettleTasks,
    Verdict,
)
from fairlead.ports.errors import CommitUnknown, Contention, Unavailable
from fairlead.ports.records import ClaimedTask, Lease, TaskKey
from tests.support.waiting import until

Answer: TypeAlias = "Callable[[SettleTasks], Settlement]"


def _outcome(element: int, run_id: str = "run") -> Outcome:
    key = TaskKey(run_id, "step", 1, element)
    return Outcome(key=key, token=1, flow_id=1, kind=OutcomeKind.COMPLETED, output=b"1")


def _lease(outcome: Outcome) -> Lease:
    return Lease(outcome.key, outcome.token)


def _all(verdict: Verdict, *continuations: ClaimedTask, queued: bool = False) -> Answer:
    def answer(command: SettleTasks) -> Settlement:
        return Settlement(
            verdicts={_lease(outcome): verdict for outcome in command.outcomes},
            continuations=continuations,
            queued=queued,
        )

    return answer


def _raising(error: BaseException) -> Answer:
    def answer(command: SettleTasks) -> Settlement:
        raise error

    return answer


class Script:
    """A kernel whose answers are given in advance, and the host that is told of them."""

    def __init__(self, total: int = 10) -> None:
        self.answers: list[Answer] = []
        self.commands: list[SettleTasks] = []
        self.verdicts: list[tuple[int, Verdict]] = []
        self.recorded_elements: list[int] = []
        self.overflows = 0
        self.adopted: list[ClaimedTask] = []
        self.slots = Slots(total)
        self.ports = SimpleNamespace(clock=ManualClock())
        self.settler = Settler(cast(Kernel, self), self, self.slots, Backoff(Random(1), first_s=0.001))

    async def dispatch(self, command: SettleTasks) -> Settlement:
        self.commands.append(command)
        await asyncio.sleep(0)
        return (self.answers.pop(0) if self.answers else _all(Verdict.SETTLED))(command)

    def capacity(self, slots: int) -> Capacity:
        return Capacity(worker="w", flow_ids=(1,), queues=("q",), slots=slots, lease_duration=timedelta(seconds=30))

    def recorded(self, lease: Lease, output: bytes) -> None:
        self.recorded_elements.append(lease.key.element)

    def settled(self, lease: Lease, kind: OutcomeKind, verdict: Verdict) -> None:
        self.verdicts.append((lease.key.element, verdict))

    def put_off(self) -> None:
        """Nobody looks for what is put off."""

    def overflowed(self) -> None:
        self.overflows += 1

    def asking(self) -> AbstractContextManager[None]:
        return nullcontext()

    def adopt(self, tasks: Sequence[ClaimedTask]) -> int:
        self.adopted += tasks
        return len(tasks)

    def add(self, *outcomes: Outcome, **how: Any) -> None:
        for outcome in outcomes:
            self.settler.add(outcome, _lease(outcome), **how)

    def adding(self, outcome: Outcome, then: Answer) -> Answer:
        """An answer during which an outcome arrives."""

        def answer(command: SettleTasks) -> Settlement:
            self.add(outcome)
            return then(command)

        return answer

    async def finish(self) -> None:
        """Settle everything that was added."""
        self.settler.close()
        async with asyncio.timeout(10):
            await self.settler.run()

    @property
    def batches(self) -> list[list[int]]:
        """The elements of each batch that was dispatched."""
        return [[outcome.key.element for outcome in command.outcomes] for command in self.commands]


@pytest.fixture
async def script(nothing_left_open: None) -> AsyncGenerator[Script]:
    """A script whose answers were all used."""
    script = Script()
    yield script
    assert not script.answers


async def test_what_ends_during_a_transaction_goes_into_the_next_together(script: Script) -> None:
    """One outcome alone is settled at once; what comes while it is being settled makes one batch."""
    running = asyncio.create_task(script.settler.run())
    script.add(_outcome(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    script.add(*(_outcome(element) for element in range(1, 6)))
    script.settler.close()
    await running

    assert script.batches == [[0], [1, 2, 3, 4, 5]]


class BothLoops:
    """A settler of which both loops run, and a store that answers batches only when it is let."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.answering = asyncio.Event()
        self.by: list[str] = []
        """Which loop dispatched each batch."""
        script.dispatch = self._dispatch  # type: ignore[method-assign]
        self.loops = [
            asyncio.create_task(run(), name=run.__name__) for run in (script.settler.run, script.settler.run_second)
        ]

    async def _dispatch(self, command: SettleTasks) -> Settlement:
        task = asyncio.current_task()
        assert task is not None
        self.by.append(task.get_name())
        self.script.commands.append(command)
        await self.answering.wait()
        return (self.script.answers.pop(0) if self.script.answers else _all(Verdict.SETTLED))(command)

    async def dispatched(self) -> list[list[int]]:
        """The batches so far, once nothing more is done; there is no I/O, so some turns of the loop are enough."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return self.script.batches

    async def finish(self) -> None:
        """Let the store answer, and both loops end."""
        self.script.settler.close()
        self.answering.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*self.loops)


TURNS = 10
"""More turns of an event loop than it takes from an outcome to the store."""


@pytest.fixture
async def both(nothing_left_open: None) -> BothLoops:
    """Both loops of a settler with more slots than a second batch needs."""
    return BothLoops(Script(total=1000))


async def test_where_many_outcomes_wait_a_second_batch_is_settled_beside_the_first(both: BothLoops) -> None:
    """One fewer waits for the first, and a third batch for either of them."""
    script = both.script
    script.add(_outcome(0, "first"))
    await both.dispatched()
    script.add(*(_outcome(element, str(element)) for element in range(1, SECOND_FROM)))
    assert await both.dispatched() == [[0]]
    script.add(_outcome(SECOND_FROM, "last"))
    assert await both.dispatched() == [[0], [*range(1, SECOND_FROM + 1)]]
    script.add(*(_outcome(element, str(element)) for element in range(SECOND_FROM + 1, 2 * SECOND_FROM + 2)))
    assert len(await both.dispatched()) == 2
    await both.finish()

    assert both.by[:2] == ["run", "run_second"]
    assert sorted(script.verdicts) == [(element, Verdict.SETTLED) for element in range(2 * SECOND_FROM + 2)]


async def test_a_host_of_few_slots_settles_a_second_batch_where_all_of_them_wait(nothing_left_open: None) -> None:
    """They are as many outcomes as it can have at a time, but for those that are being settled."""
    both = BothLoops(Script(total=4))
    both.script.add(_outcome(0, "first"))
    await both.dispatched()
    both.script.add(*(_outcome(element, str(element)) for element in range(1, 4)))
    assert await both.dispatched() == [[0]]
    both.script.add(_outcome(4, "last"))
    assert await both.dispatched() == [[0], [1, 2, 3, 4]]
    await both.finish()


@pytest.mark.parametrize("before", [1, SETTLE_BATCH_MAX + SECOND_FROM])
async def test_outcomes_of_a_run_whose_batch_is_under_way_wait_for_that(both: BothLoops, before: int) -> None:
    """They would only find their run locked, whether they came before it or after; those of other runs go on."""
    script = both.script
    script.add(*(_outcome(element, "map") for element in range(before)))
    await both.dispatched()
    script.add(*(_outcome(before + element, "map") for element in range(SECOND_FROM)))
    first = [*range(min(before, SETTLE_BATCH_MAX))]
    assert await both.dispatched() == [first]
    others = [*range(10_000, 10_000 + SECOND_FROM)]
    script.add(*(_outcome(element, str(element)) for element in others))
    assert await both.dispatched() == [first, others]
    await both.finish()

    assert [element for batch in script.batches[2:] for element in batch] == [*range(len(first), before + SECOND_FROM)]
    assert len(script.verdicts) == before + 2 * SECOND_FROM


@pytest.mark.fault(24)
async def test_a_locked_run_of_the_second_batch_is_tried_again(both: BothLoops) -> None:
    """What both batches are told to defer is settled later, each outcome once, and both loops end."""
    script = both.script
    script.answers = [_all(Verdict.DEFERRED)] * 2
    script.add(_outcome(0, "first"))
    await both.dispatched()
    script.add(*(_outcome(element, str(element)) for element in range(1, SECOND_FROM + 1)))
    await both.dispatched()
    assert both.by == ["run", "run_second"]
    await both.finish()

    assert all(script.batches)
    assert sorted(script.verdicts) == [(element, Verdict.SETTLED) for element in range(SECOND_FROM + 1)]


async def test_a_batch_is_bounded(script: Script) -> None:
    """More outcomes than fit into a batch are settled in several."""
    script.add(*(_outcome(element) for element in range(SETTLE_BATCH_MAX + 3)))
    await script.finish()

    assert [len(batch) for batch in script.batches] == [SETTLE_BATCH_MAX, 3]


@pytest.mark.fault(22)
@pytest.mark.parametrize("error", [Unavailable("down"), CommitUnknown("cut off")], ids=["unavailable", "unknown"])
async def test_the_same_batch_again_after_an_outage(script: Script, error: Exception) -> None:
    """It is marked as repeated where, and only where, it may have been committed."""
    script.answers = [_raising(error), _raising(Unavailable("down"))]
    script.add(_outcome(0), _outcome(1))
    await script.finish()

    unknown = isinstance(error, CommitUnknown)
    assert script.batches == [[0, 1], [0, 1], [0, 1]]
    assert [command.repeated for command in script.commands] == [False, unknown, unknown]
    assert script.verdicts == [(0, Verdict.SETTLED), (1, Verdict.SETTLED)]


@pytest.mark.parametrize(
    "then",
    [_all(Verdict.DEFERRED), _raising(Contention("locked")), _raising(CorruptionError("one of them"))],
    ids=["deferred", "contended", "isolated"],
)
async def test_an_unknown_commit_is_remembered_until_it_is_answered(script: Script, then: Answer) -> None:
    """What it may have handed over is asked for whenever one of its outcomes is tried again, and never by others."""
    script.answers = [_raising(CommitUnknown("cut off")), then]
    script.add(_outcome(0), _outcome(1))
    await script.finish()
    script.add(_outcome(2))
    await script.finish()

    assert [command.repeated for command in script.commands[:3]] == [False, True, True]
    assert script.batches[-1] == [2]
    assert not script.commands[-1].repeated
    assert all(command.repeated for command in script.commands[1:-1])
    assert sorted(script.verdicts) == [(element, Verdict.SETTLED) for element in range(3)]


@pytest.mark.fault(4, 22)
async def test_what_an_earlier_process_of_the_same_name_held_is_left_to_its_lease(script: Script) -> None:
    """A repeated settle tells of all that is leased to the name: of that, what was leased before the first try began
    is not taken on, since it would be begun twice in one attempt."""
    clock: ManualClock = script.ports.clock
    lease_ends = clock.now() + timedelta(seconds=30)
    earlier, ours = [
        ClaimedTask(
            key=TaskKey("run", step, 1, 0), flow_id=1, token=1, attempt=1, losses=0, lease_until=lease_until, priority=0
        )
        for step, lease_until in (("held", lease_ends - timedelta(seconds=1)), ("handed", lease_ends))
    ]
    script.answers = [_raising(CommitUnknown("cut off")), _all(Verdict.SETTLED, earlier, ours)]
    script.add(_outcome(0))
    await script.finish()

    assert [command.repeated for command in script.commands] == [False, True]
    assert script.adopted == [ours]


async def test_a_deferred_outcome_waits_for_the_next_batch(script: Script) -> None:
    """It is not told to the host before it is settled."""
    first, second = _outcome(0, "locked"), _outcome(1, "free")

    def answer(command: SettleTasks) -> Settlement:
        return Settlement(verdicts={_lease(first): Verdict.DEFERRED, _lease(second): Verdict.SETTLED}, continuations=())

    script.answers = [answer]
    script.add(first, second)
    await script.finish()

    assert script.batches == [[0, 1], [0]]
    assert script.verdicts == [(1, Verdict.SETTLED), (0, Verdict.SETTLED)]
    assert [command.wait for command in script.commands] == [False, False]


async def test_after_three_misses_a_run_is_settled_alone_and_waits(script: Script) -> None:
    """Its outcomes go together, apart from those of other runs, and wait in the store for a moment."""
    script.answers = [_all(Verdict.DEFERRED)] * MISSES_MAX
    script.add(_outcome(0, "locked"), _outcome(1, "locked"))
    script.answers.append(script.adding(_outcome(2, "other"), _all(Verdict.SETTLED)))
    await script.finish()

    assert script.batches == [[0, 1]] * MISSES_MAX + [[0, 1], [2]]
    waits = [(command.wait, command.patience_s) for command in script.commands]
    assert waits == [(False, None)] * MISSES_MAX + [(True, APART_PATIENCE_S), (False, None)]


@pytest.mark.fault(24)
async def test_a_run_that_stays_locked_does_not_hold_the_others_up(script: Script) -> None:
    """While its outcomes wait for it, those of others are settled, and give back no slot later than else."""
    unlocked, others = asyncio.Event(), asyncio.Event()

    async def dispatch(command: SettleTasks) -> Settlement:
        script.commands.append(command)
        if command.outcomes[0].key.run_id != "locked":
            others.set()
            return _all(Verdict.SETTLED)(command)
        if not command.wait:
            return _all(Verdict.DEFERRED)(command)
        await unlocked.wait()
        return _all(Verdict.SETTLED)(command)

    script.dispatch = dispatch  # type: ignore[method-assign]
    script.add(_outcome(0, "locked"))
    running = asyncio.create_task(script.settler.run())
    await until(lambda: any(command.wait for command in script.commands))
    script.slots.take(2)
    script.add(_outcome(1, "other"))
    script.add(_outcome(2, "locked"), keeps_slot=True)
    async with asyncio.timeout(10):
        await others.wait()
    await until(lambda: script.verdicts)

    assert script.verdicts == [(1, Verdict.SETTLED)]
    assert (script.settler.unsettled, script.settler.unsettled_apart) == (2, 2)
    assert script.slots.free == 9
    script.settler.close()
    assert not running.done()
    unlocked.set()
    await running
    assert script.settler.closed
    assert sorted(script.verdicts) == [(element, Verdict.SETTLED) for element in range(3)]
    assert script.settler.unsettled_apart == 0


@pytest.mark.fault(24)
async def test_after_a_lock_timeout_each_run_goes_on_alone(script: Script) -> None:
    """Which run of a batch was in the way is unknown: each is tried by itself, the locked one until it is free."""
    locked = [True, True, False]

    def answer(command: SettleTasks) -> Settlement:
        if command.outcomes[0].key.run_id == "locked" and locked.pop(0):
            raise Contention("locked")
        return _all(Verdict.SETTLED)(command)

    script.answers = [answer] * 4
    script.add(_outcome(0, "locked"), _outcome(1, "other"))
    await script.finish()

    assert script.batches == [[0, 1], [0], [1], [0]]
    assert [command.wait for command in script.commands] == [False, True, True, True]
    assert script.verdicts == [(1, Verdict.SETTLED), (0, Verdict.SETTLED)]


async def test_a_settler_that_is_cancelled_leaves_nothing_running(script: Script) -> None:
    """Neither itself nor what it had set apart; its outcomes stay unsettled."""
    script.answers = [_all(Verdict.DEFERRED)] * MISSES_MAX
    never = asyncio.Event()
    answered = script.dispatch

    async def dispatch(command: SettleTasks) -> Settlement:
        if command.wait:
            await never.wait()
        return await answered(command)

    script.dispatch = dispatch  # type: ignore[method-assign]
    script.add(_outcome(0))
    running = asyncio.create_task(script.settler.run())
    await until(lambda: script.settler.unsettled_apart)
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
    assert script.settler.unsettled == 1


async def test_a_batch_is_bounded_in_bytes(script: Script) -> None:
    """Large outputs and errors are spread over batches; one that is too large for any goes alone."""
    third = SETTLE_BYTES_MAX // 3
    sizes = [third, third, third, third, 2 * SETTLE_BYTES_MAX, 1]
    for element, size in enumerate(sizes):
        large = bytes(size)
        outcome = _outcome(element)
        script.add(replace(outcome, error=large) if element % 2 else replace(outcome, output=large))
    await script.finish()

    assert script.batches == [[0, 1, 2], [3], [4], [5]]


class Panic(BaseException):
    """What nobody expects."""


@pytest.mark.fault(76)
@pytest.mark.parametrize("error", [asyncio.CancelledError(), Panic()], ids=["cancelled", "panic"])
async def test_nothing_that_a_store_raises_ends_the_settler(script: Script, error: BaseException) -> None:
    """A cancellation that nobody asked for is an unknown answer; anything else is isolated."""
    script.answers = [_raising(error)]
    script.add(_outcome(0), _outcome(1))
    await script.finish()

    assert sorted(script.verdicts) == [(element, Verdict.SETTLED) for element in range(2)]


async def test_one_outcome_that_cannot_be_settled_is_dropped_alone(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """The batch is halved until the culprit is found; the others are settled, the host goes on."""

    def refuse_three(command: SettleTasks) -> Settlement:
        if any(outcome.key.element == 3 for outcome in command.outcomes):
            raise CorruptionError("three")
        return _all(Verdict.SETTLED)(command)

    script.answers = [refuse_three] * 7
    script.add(*(_outcome(element) for element in range(8)))
    await script.finish()

    assert sorted(script.verdicts) == [
        (element, Verdict.STALE if element == 3 else Verdict.SETTLED) for element in range(8)
    ]
    assert "cannot be settled" in caplog.text


@pytest.mark.fault(76)
async def test_a_run_that_is_set_apart_goes_on_where_its_task_raises(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits for it by then is settled like anything else, once, and the log says what was raised."""
    script.answers = [_all(Verdict.DEFERRED)] * MISSES_MAX
    script.answers.append(script.adding(_outcome(1, "locked"), _all(Verdict.SETTLED)))
    raised: list[Panic] = []

    def raise_once() -> None:
        if script.commands[-1].wait and not raised:
            raised.append(Panic())
            raise raised[0]

    script.settler.when_settled = raise_once
    script.add(_outcome(0, "locked"))
    await script.finish()

    assert script.batches == [[0]] * MISSES_MAX + [[0], [1]]
    assert [command.wait for command in script.commands] == [False] * MISSES_MAX + [True, False]
    assert script.verdicts == [(0, Verdict.SETTLED), (1, Verdict.SETTLED)]
    assert (script.settler.unsettled, script.settler.unsettled_apart) == (0, 0)
    (told,) = [record for record in caplog.records if record.message == "settling run locked failed and is begun again"]
    assert told.exc_info is not None
    assert told.exc_info[1] is raised[0]


@pytest.mark.fault(18)
async def test_a_settler_that_is_cancelled_while_it_takes_a_batch_apart_loses_nothing(script: Script) -> None:
    """Neither the half that is being settled nor the other one: both are there for whoever settles next."""
    answered, begun, never = script.dispatch, asyncio.Event(), asyncio.Event()

    async def dispatch(command: SettleTasks) -> Settlement:
        if len(command.outcomes) == 2:
            begun.set()
            await never.wait()
        return await answered(command)

    script.dispatch = dispatch  # type: ignore[method-assign]
    script.answers = [_raising(CorruptionError("one of them"))]
    script.add(*(_outcome(element) for element in range(4)))
    running = asyncio.create_task(script.settler.run())
    await begun.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert script.settler.unsettled == 4

    script.dispatch = answered  # type: ignore[method-assign]
    await script.finish()

    assert sorted(script.verdicts) == [(element, Verdict.SETTLED) for element in range(4)]
    assert script.settler.unsettled == 0


def _continuation(element: int) -> ClaimedTask:
    key = TaskKey("run", "next", 1, element)
    until = datetime(2026, 1, 1, tzinfo=UTC)
    return ClaimedTask(key=key, flow_id=1, token=1, attempt=1, losses=0, lease_until=until, priority=0)


async def test_slots_are_offered_and_what_is_not_used_comes_back(script: Script) -> None:
    """A batch that can make tasks ready offers its own slots and the free ones; one that cannot offers none."""
    assert script.slots.take(4) == 4
    script.answers = [_all(Verdict.SETTLED, _continuation(0), _continuation(1))]
    script.add(_outcome(0), _outcome(1), keeps_slot=True)
    await script.finish()

    assert [command.capacity.slots for command in script.commands] == [8]
    assert len(script.adopted) == 2
    assert script.slots.free == 10 - 2 - 2
    assert script.overflows == 0


async def test_what_was_queued_is_looked_for(script: Script) -> None:
    """When tasks that became ready were queued, the host looks for them."""
    script.slots.take(10)
    script.answers = [_all(Verdict.SETTLED, _continuation(0), queued=True)]
    script.add(_outcome(0), keeps_slot=True)
    script.add(_outcome(1))
    await script.finish()

    assert script.overflows == 1
    assert script.slots.free == 0


async def test_outputs_are_told_of_before_what_follows_and_only_where_they_count() -> None:
    """A stale outcome gives nobody anything, nor does one whose output the rules or the store refused."""
    script = Script()
    script.add(*map(_outcome, range(3)))
    stale, refused = _lease(_outcome(1)), _lease(_outcome(2))
    told_before: list[int] = []

    def answer(command: SettleTasks) -> Settlement:
        settled = _all(Verdict.SETTLED)(command)
        return replace(settled, verdicts={**settled.verdicts, stale: Verdict.STALE}, unrecorded=frozenset({refused}))

    def adopt(tasks: Sequence[ClaimedTask]) -> int:
        told_before.extend(script.recorded_elements)
        return 0

    script.answers.append(answer)
    script.adopt = adopt  # type: ignore[method-assign]
    await script.finish()

    assert script.recorded_elements == told_before == [0]
