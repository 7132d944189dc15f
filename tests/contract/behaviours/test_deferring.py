"""Deferred commands: started at a time, cancelled at a deadline, exactly once, never lost."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve, frozen
from msgspec.structs import replace

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import (
    AnnotationValue,
    Deferred,
    Flow,
    IdempotencyConflict,
    InvalidArgument,
    InvalidInput,
    Kernel,
    RunFilter,
    RunNotFound,
    RunStatus,
)
from fairlead.kernel.commands import Fired
from fairlead.kernel.decisions.firing import CALLERS_TAKE_MAX, retry_at
from fairlead.kernel.dispatch.firing import FIRE_CLAIM
from fairlead.kernel.errors import DeferredNotFound, NothingToRerun
from fairlead.kernel.references import digest_of
from fairlead.kernel.schedules import SignalEntry, requested_signal_name, write_entry
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Unavailable
from fairlead.ports.persistence import Persistence
from fairlead.ports.scheduler import ScheduledCommand
from tests.support.hands import Hands
from tests.support.overtaken import Overtaken, once
from tests.support.watched_blobs import referenced_blobs

NOWHERE = "0197f000-0000-7000-8000-000000000001"


@frozen
class Mail:
    """The input."""

    to: str


def mail_flow(version: int = 1, *, slug: str = "mail", input: Any = Mail) -> Flow[Any]:
    """One step."""
    flow = Flow(slug, version=version, input=input, input_name="mail")

    @flow.step
    def send() -> int:
        return 1

    return flow


@pytest.fixture
def flow() -> Flow[Any]:
    """What is started."""
    return mail_flow()


@pytest.fixture
def kernel(world: Ports, flow: Flow[Any]) -> Kernel:
    """A kernel that has it."""
    return Kernel(flows=[flow], ports=world)


async def test_a_run_is_started_at_its_time(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """Not before, once, and under the id that was told."""
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, priority=2)
    assert (deferred.created, deferred.record.due_at) == (True, clock.now() + timedelta(seconds=60))
    with pytest.raises(RunNotFound):
        await (await deferred.run()).read()
    clock.advance(59)
    assert (await Hands(kernel).fire()).claimed == 0
    clock.advance(1)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (1, 1)
    record = await (await deferred.run()).read()
    assert (record.status, record.priority, record.version) == (RunStatus.PENDING, 2, "1")
    assert await kernel.deferred() == []
    assert (await Hands(kernel).fire()).claimed == 0
    with pytest.raises(DeferredNotFound):
        await deferred.read()


async def test_a_time_of_the_past_is_now(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """And a time of any zone is a time."""
    past = datetime.fromisoformat("2020-01-01T00:00+05:30")
    await kernel.start_later(flow, Mail("ada"), at=past)
    await kernel.start_later(flow, Mail("ada"), after=0)

    assert (await Hands(kernel).fire()).started == 2


async def test_a_key_makes_it_repeatable(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """Before and after it was carried out, whatever the time; another payload is a conflict."""
    first = await kernel.start_later(flow, Mail("ada"), after=60, key="k")
    again = await kernel.start_later(flow, Mail("ada"), after=90, key="k")
    assert (again.record.run_id, again.created) == (first.record.run_id, False)
    assert (await again.read()).due_at == first.record.due_at
    with pytest.raises(IdempotencyConflict, match=first.record.run_id):
        await kernel.start_later(flow, Mail("bob"), after=60, key="k")

    clock.advance(60)
    assert (await Hands(kernel).fire()).started == 1

    assert (await kernel.start_later(flow, Mail("ada"), after=60, key="k")).record.run_id == first.record.run_id
    assert (await kernel.start(flow, Mail("ada"), key="k")).id == first.record.run_id
    with pytest.raises(IdempotencyConflict):
        await kernel.start_later(flow, Mail("bob"), after=60, key="k")
    assert await kernel.deferred() == []


@pytest.mark.fault(66)
async def test_one_key_at_once(world: Ports) -> None:
    """A hundred calls, one run."""
    kernels = [Kernel(flows=[mail_flow()], ports=world) for _ in range(4)]
    found = await asyncio.gather(
        *(kernels[number % 4].start_later("mail", Mail("ada"), after=0, key="k") for number in range(100))
    )
    await asyncio.gather(*(Hands(kernel).fire() for kernel in kernels))

    assert len({each.record.run_id for each in found}) == 1
    assert sum(each.created for each in found) == 1
    assert len((await kernels[0].runs()).runs) == 1


@pytest.mark.fault(69)
async def test_a_start_that_somebody_else_defers_first(world: Ports, clock: ManualClock) -> None:
    """Between the look and the write: one more look finds it under its key; of the input in a blob there is one."""
    other = Kernel(flows=[mail_flow()], ports=world, inline_bytes_max=10)

    async def defer() -> None:
        await other.start_later("mail", Mail("ada" * 10), after=60, key="k")

    overtaken: Any = Overtaken(world.scheduler, schedule=once(defer))
    slower = Kernel(flows=[mail_flow()], ports=evolve(world, scheduler=overtaken), inline_bytes_max=10)

    deferred = await slower.start_later("mail", Mail("ada" * 10), after=60, key="k")

    assert not deferred.created
    assert [each.record for each in await other.deferred()] == [deferred.record]
    assert len([blob async for blob in world.blobs.list("scheduled/")]) == 1
    clock.advance(60)
    assert (await Hands(slower).fire()).started == 1


async def test_a_start_comes_to_the_run_that_got_its_key_meanwhile(
    kernel: Kernel, flow: Flow[Any], clock: ManualClock
) -> None:
    """With the same payload that is its run, once its time has come; and the deadline it was given is that one's."""
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, key="same")
    await kernel.cancel_later(deferred.record.run_id, after=300, reason="too late")
    run = await kernel.start(flow, Mail("ada"), key="same")
    with pytest.raises(RunNotFound):
        await (await deferred.run()).read()
    clock.advance(60)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started, fired.troubles) == (1, 0, ())
    assert (await deferred.run()).id == run.id
    assert [(each.name, each.record.run_id) for each in await kernel.deferred()] == [(f"cancel/{run.id}", run.id)]
    clock.advance(240)
    assert (await Hands(kernel).fire()).cancelled == 1
    assert (await run.read()).reason == "too late"
    assert [each.id for each in (await kernel.runs()).runs] == [run.id]


async def test_a_deadline_of_its_own_stays_that_of_the_run_that_got_the_key(
    kernel: Kernel, flow: Flow[Any], clock: ManualClock
) -> None:
    """The one that was given to the run that never was is dropped."""
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, key="same")
    await kernel.cancel_later(deferred.record.run_id, after=120)
    run = await kernel.start(flow, Mail("ada"), key="same")
    own = await kernel.cancel_later(run.id, after=600)
    clock.advance(60)
    await Hands(kernel).fire()

    assert [each.record for each in await kernel.deferred()] == [await own.read()]


async def test_a_start_whose_key_was_used_for_another_payload_meanwhile_is_held(
    kernel: Kernel, flow: Flow[Any], clock: ManualClock
) -> None:
    """With its problem, which names the run that has the key; it has no run of its own, and never that one."""
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, key="other")
    run = await kernel.start(flow, Mail("bob"), key="other")
    clock.advance(60)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (1, 0)
    (held,) = await kernel.deferred()
    assert (held.name, held.record.held, held.record.failures) == (deferred.name, True, 1)
    assert run.id in (held.record.problem or "")
    assert held.record == await deferred.read() == deferred.record
    with pytest.raises(RunNotFound):
        await (await deferred.run()).read()
    assert await deferred.withdraw()


async def test_a_run_that_is_started_later_is_found_by_its_annotations(
    kernel: Kernel, flow: Flow[Any], clock: ManualClock
) -> None:
    """As one that is started now; they are no part of what the key is compared with, and are checked at once."""
    noted: dict[str, AnnotationValue] = {"customer": "acme", "tier": 3, "vip": True}
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, key="k", annotations=noted)
    again = await kernel.start_later(flow, Mail("ada"), after=60, key="k", annotations={"customer": "other"})
    await kernel.start_later(flow, Mail("bob"), after=60, annotations={})
    with pytest.raises(InvalidInput, match="annotations"):
        await kernel.start_later(flow, Mail("ada"), after=60, annotations={"customer": float("nan")})
    clock.advance(60)
    await Hands(kernel).fire()

    assert not again.created
    found = (await kernel.runs(RunFilter(annotations={"customer": "acme", "tier": 3}))).runs
    assert [run.id for run in found] == [deferred.record.run_id]
    assert await (await deferred.run()).annotations() == noted


async def test_a_start_can_be_withdrawn(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """Once, and its run is there as cancelled; not when it was carried out."""
    first, second = [await kernel.start_later(flow, Mail("ada"), after=60) for _ in range(2)]

    assert await first.withdraw()
    assert not await first.withdraw()
    clock.advance(60)
    await Hands(kernel).fire()
    assert not await second.withdraw()
    assert {run.id: (run.status, run.reason) for run in (await kernel.runs()).runs} == {
        first.record.run_id: (RunStatus.CANCELLED, "withdrawn"),
        second.record.run_id: (RunStatus.PENDING, None),
    }


@pytest.mark.fault(22, 62)
@pytest.mark.parametrize("key", [None, "mail-7"])
@pytest.mark.parametrize("when", ["before the next try", "during it"])
async def test_a_start_is_withdrawn_before_whoever_deferred_it_is_answered(
    world: Ports, flow: Flow[Any], clock: ManualClock, key: str | None, when: str
) -> None:
    """The answer to the first try is lost, and somebody finds the start and withdraws it: the next try does not bring
    it back, and its key is free."""
    other = Kernel(flows=[flow], ports=world, inline_bytes_max=10)
    await other.register()
    withdrawn: list[tuple[str, bool]] = []
    tries = 0

    async def withdraw() -> None:
        withdrawn.extend([(each.record.run_id, await each.withdraw()) for each in await other.deferred()])

    class Losing:
        """A scheduler whose first answer is lost."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.scheduler, name)

        async def schedule(self, command: Any, *, replace: bool = True) -> bool:
            nonlocal tries
            tries += 1
            done = await world.scheduler.schedule(command, replace=replace)
            if tries > 1:
                return done
            if when == "before the next try":
                await withdraw()
            raise CommitUnknown("no answer")

        async def read(self, name: str) -> Any:
            if tries == 1 and when == "during it":
                await withdraw()
            return await world.scheduler.read(name)

    losing: Any = Losing()
    ports = evolve(world, scheduler=losing, clock=_Hurrying(clock))
    deferred = await Kernel(flows=[flow], ports=ports, inline_bytes_max=10).start_later(
        flow, Mail("ada" * 10), after=60, key=key
    )

    assert deferred.created
    assert withdrawn == [(deferred.record.run_id, True)]
    again = await other.start_later(flow, Mail("ada" * 10), after=60, key=key)
    assert again.created
    clock.advance(60)
    await Hands(other).fire()
    assert await Hands(other).claimed_run_ids() == [again.record.run_id]
    assert (await other.run(deferred.record.run_id).read()).reason == "withdrawn"
    assert await other.deferred() == []


@pytest.mark.fault(22, 62)
@pytest.mark.parametrize("key", [None, "mail-7"])
async def test_a_withdrawn_start_that_cannot_be_forgotten_never_begins(
    world: Ports, flow: Flow[Any], clock: ManualClock, key: str | None
) -> None:
    """Its run is put down as cancelled, and that is what counts: it is withdrawn, its key is free, and whoever comes to
    it forgets it."""

    async def fails() -> None:
        raise Unavailable("cut off")

    failing: Any = Overtaken(world.scheduler, ack=fails)
    kernel = Kernel(flows=[flow], ports=world, inline_bytes_max=10)
    cut_off = Kernel(flows=[flow], ports=evolve(world, scheduler=failing))
    deferred, other = [
        await kernel.start_later(flow, Mail("ada" * 10), after=60, key=each) for each in (key, "another")
    ]

    assert await (await cut_off.find_deferred(deferred.name)).withdraw()
    assert await (await cut_off.find_deferred(other.name)).withdraw()
    assert not await other.withdraw()
    assert [each.name for each in await kernel.deferred()] == [deferred.name]
    if key is not None:
        again = await kernel.start_later(flow, Mail("ada" * 10), after=90, key=key)
        assert again.created
        assert await again.withdraw()
    clock.advance(60)
    assert (await Hands(kernel).fire()).started == 0

    assert await kernel.deferred() == []
    assert [blob async for blob in world.blobs.list("scheduled/")] == []
    assert {run.reason for run in (await kernel.runs()).runs} == {"withdrawn"}


@pytest.mark.fault(62)
@pytest.mark.parametrize("key", [None, "mail-7"])
@pytest.mark.parametrize("meanwhile", ["nothing", "another host failed", "it was retried by a clock that is ahead"])
@pytest.mark.parametrize("knows", [True, False], ids=["with the flow", "without"])
async def test_a_start_is_withdrawn_that_a_host_has_in_hand(
    world: Ports, flow: Flow[Any], clock: ManualClock, key: str | None, meanwhile: str, knows: bool
) -> None:
    """The host stands still before it puts the run down, however long: the run does not begin, and its key is free."""
    withdrawn: list[bool] = []
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.register()
    deferred = await kernel.start_later(flow, Mail("ada" * 10), after=60, key=key)
    client = Kernel(flows=[flow] if knows else [], ports=world)

    async def stands_still() -> None:
        clock.advance(FIRE_CLAIM)
        if meanwhile == "it was retried by a clock that is ahead":
            ahead = ManualClock(clock.now() + timedelta(hours=1))
            await (await Kernel(flows=[], ports=evolve(world, clock=ahead)).find_deferred(deferred.name)).retry()
        elif meanwhile == "another host failed":
            (kept,) = await world.scheduler.claim_due(
                flows=["mail"], now=clock.now(), until=clock.now() + FIRE_CLAIM, limit=1
            )
            assert await world.scheduler.put_back(kept, replace(kept.scheduled, failures=1, problem="no"))
        withdrawn.append(await (await client.find_deferred(deferred.name)).withdraw())

    overtaken: Any = Overtaken(world.persistence, insert_runs=once(stands_still))
    slow = Kernel(flows=[flow], ports=evolve(world, persistence=overtaken))
    clock.advance(60)
    await Hands(slow).fire()

    assert withdrawn == [True]
    assert await kernel.deferred() == []
    assert await Hands(kernel, slots=1).claim_runs() == []
    run = await kernel.run(deferred.record.run_id).read()
    assert (run.status, run.reason, run.key) == (RunStatus.CANCELLED, "withdrawn", None)
    assert run.started_at is None
    assert [event.type for event in (await kernel.run(run.id).details()).events] == ["run.created", "run.cancelled"]
    with pytest.raises(NothingToRerun, match="never began"):
        await kernel.run(run.id).retry()
    assert (await kernel.start(flow, Mail("bob"), key=key)).id != run.id


@pytest.mark.fault(22, 62)
@pytest.mark.parametrize("due", [False, True], ids=["before its time", "when it is due"])
async def test_a_start_is_carried_out_while_it_is_unknown_whether_it_was_withdrawn(
    world: Ports, flow: Flow[Any], clock: ManualClock, due: bool
) -> None:
    """The first try never reached the store. The second finds neither the start nor that anybody has withdrawn it."""
    host = Kernel(flows=[flow], ports=world)
    deferred = await host.start_later(flow, Mail("ada"), after=60)
    clock.advance(60 if due else 0)

    async def carried_out() -> None:
        clock.advance(0 if due else 60)
        assert (await Hands(host).fire()).started == 1
        raise CommitUnknown("cut off before it reached the store")

    overtaken: Any = Overtaken(world.persistence, insert_cancelled=once(carried_out))
    ports = evolve(world, clock=_Hurrying(clock), persistence=overtaken)

    assert not await (await Kernel(flows=[flow], ports=ports).find_deferred(deferred.name)).withdraw()
    assert (await (await deferred.run()).read()).status is RunStatus.PENDING


@pytest.mark.fault(22, 62)
async def test_a_start_is_withdrawn_although_an_answer_is_lost(
    world: Ports, flow: Flow[Any], clock: ManualClock
) -> None:
    """What the first try has put down is recognised by the second."""

    class Losing:
        """A store whose first answer is lost."""

        def __init__(self) -> None:
            self.tries = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(world.persistence, name)

        async def insert_cancelled(self, *arguments: Any) -> bool:
            self.tries += 1
            done = await world.persistence.insert_cancelled(*arguments)
            if self.tries == 1:
                raise CommitUnknown("no answer")
            return done

    losing: Any = Losing()
    kernel = Kernel(flows=[flow], ports=evolve(world, persistence=losing, clock=_Hurrying(clock)))
    await kernel.register()
    deferred = await kernel.start_later(flow, Mail("ada"), after=60)
    clock.advance(60)

    assert await deferred.withdraw()
    assert losing.tries == 2
    assert [run.reason for run in (await kernel.runs()).runs] == ["withdrawn"]
    assert await kernel.deferred() == []


@pytest.mark.fault(62)
async def test_a_start_that_a_host_claims_while_it_is_withdrawn(
    world: Ports, flow: Flow[Any], clock: ManualClock
) -> None:
    """By a clock that is ahead: it is withdrawn all the same, and the host finds the run cancelled."""
    kernel = Kernel(flows=[flow], ports=world, inline_bytes_max=10)
    await kernel.register()

    async def claim() -> None:
        now = clock.now() + timedelta(seconds=60)
        assert await world.scheduler.claim_due(flows=["mail"], now=now, until=now + FIRE_CLAIM, limit=1)

    overtaken: Any = Overtaken(world.scheduler, ack=once(claim))
    deferred = await kernel.start_later(flow, Mail("ada" * 10), after=60)
    slower = Kernel(flows=[flow], ports=evolve(world, scheduler=overtaken))

    assert await (await slower.find_deferred(deferred.name)).withdraw()
    clock.advance(60)
    await Hands(kernel).fire()
    assert await Hands(kernel, slots=1).claim_runs() == []
    assert (await kernel.run(deferred.record.run_id).read()).reason == "withdrawn"
    assert [blob async for blob in world.blobs.list("scheduled/")] == []


@pytest.mark.fault(62)
async def test_a_start_is_withdrawn_whose_run_is_there(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """It is too late, although the host that put the run down died before it forgot the start; another one does."""

    async def dies() -> None:
        raise asyncio.CancelledError

    overtaken: Any = Overtaken(world.scheduler, ack=once(dies))
    kernel = Kernel(flows=[flow], ports=world)
    deferred = await kernel.start_later(flow, Mail("ada"), after=60)
    clock.advance(60)
    with pytest.raises(asyncio.CancelledError):
        await Hands(Kernel(flows=[flow], ports=evolve(world, scheduler=overtaken))).fire()
    clock.advance(FIRE_CLAIM)

    assert not await deferred.withdraw()
    await Hands(kernel).fire()
    assert await kernel.deferred() == []
    assert [run.id for run in (await kernel.runs()).runs] == [deferred.record.run_id]


@pytest.mark.fault(62)
@pytest.mark.parametrize("dies", [False, True], ids=["starts", "dies"])
async def test_a_deadline_comes_while_a_host_starts_its_run(
    world: Ports, flow: Flow[Any], clock: ManualClock, dies: bool
) -> None:
    """It counts at once: the run is put down as cancelled, whatever becomes of the host."""
    bare, fired = Kernel(flows=[], ports=world), list[Fired]()

    async def meanwhile() -> None:
        clock.advance(1)
        fired.append(await Hands(bare).fire())
        if dies:
            raise asyncio.CancelledError

    overtaken: Any = Overtaken(world.persistence, insert_runs=once(meanwhile))
    kernel = Kernel(flows=[flow], ports=evolve(world, persistence=overtaken))
    await kernel.register()
    deferred = await kernel.start_later(flow, Mail("ada"), after=60)
    await kernel.cancel_later(deferred.record.run_id, after=61, reason="too late")
    clock.advance(60)
    with pytest.raises(asyncio.CancelledError) if dies else nullcontext():
        await Hands(kernel).fire()
    clock.advance(FIRE_CLAIM)

    await Hands(kernel).fire()

    assert [(each.claimed, each.troubles) for each in fired] == [(1, ())]
    assert await kernel.deferred() == []
    assert [(run.id, run.reason) for run in (await kernel.runs()).runs] == [(deferred.record.run_id, "too late")]
    assert await Hands(kernel, slots=1).claim_runs() == []


@pytest.mark.fault(62)
@pytest.mark.parametrize("key", [None, "mail-7"])
async def test_a_deadline_counts_although_the_run_starts_while_it_is_looked_for(
    world: Ports, flow: Flow[Any], clock: ManualClock, key: str | None
) -> None:
    """The run is not there yet, then its start is not there any more: it was carried out in between."""
    kernel = Kernel(flows=[flow], ports=world)

    async def meanwhile() -> None:
        assert (await Hands(kernel).fire()).started == 1

    overtaken: Any = Overtaken(world.scheduler, read=once(meanwhile))
    bare = Kernel(flows=[], ports=evolve(world, scheduler=overtaken))
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, key=key)
    await kernel.cancel_later(deferred.record.run_id, after=60, reason="too late")
    clock.advance(60)

    fired = await Hands(bare).fire()

    assert (fired.claimed, fired.cancelled, fired.troubles) == (1, 1, ())
    assert (await (await deferred.run()).read()).reason == "too late"
    assert await kernel.deferred() == []


async def test_a_run_is_cancelled_at_its_deadline(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """By a host without its code, with the reason; a run that has ended before is left as it is."""
    late, early = [await kernel.start(flow, Mail("ada")) for _ in range(2)]
    for run in (late, early):
        await kernel.cancel_later(run.id, after=60, reason="too late")
    await early.cancel(reason="no need")
    clock.advance(60)
    bare = Kernel(flows=[], ports=kernel.ports)

    fired = await Hands(bare).fire()

    assert (fired.claimed, fired.cancelled) == (2, 1)
    assert [(await run.read()).reason for run in (late, early)] == ["too late", "no need"]
    assert await kernel.deferred() == []


async def test_a_run_has_one_deadline(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """Which can be moved and withdrawn."""
    run = await kernel.start(flow, Mail("ada"))
    first = await kernel.cancel_later(run.id, after=60)
    moved = await kernel.cancel_later(run.id, after=120)
    assert first.name == moved.name
    clock.advance(60)
    assert (await Hands(kernel).fire()).claimed == 0

    assert await moved.withdraw()
    clock.advance(600)
    assert (await Hands(kernel).fire()).claimed == 0
    assert await run.status() is RunStatus.PENDING


@pytest.mark.fault(62)
async def test_a_key_is_deferred_anew_while_its_start_is_withdrawn(
    world: Ports, flow: Flow[Any], clock: ManualClock
) -> None:
    """As soon as the run is put down as cancelled, the key is free: what gets it then is not withdrawn, too."""
    kernel, again = Kernel(flows=[flow], ports=world), list[Deferred]()
    deferred = await kernel.start_later(flow, Mail("ada"), after=60, key="k")

    async def meanwhile() -> None:
        again.append(await kernel.start_later(flow, Mail("bob"), after=60, key="k"))

    overtaken: Any = Overtaken(world.scheduler, ack=once(meanwhile))
    slower = Kernel(flows=[flow], ports=evolve(world, scheduler=overtaken))

    assert await (await slower.find_deferred(deferred.name)).withdraw()

    assert [each.record for each in await kernel.deferred()] == [each.record for each in again]
    clock.advance(60)
    assert (await Hands(kernel).fire()).started == 1


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("fate", "meanwhile", "answer"),
    [
        ("taken", "nothing", True),
        ("taken", "cancelled for another reason", True),
        ("taken", "its run is nowhere", None),
        ("cut off", "nothing", True),
        ("cut off", "carried out", False),
    ],
)
async def test_a_deadline_is_withdrawn_although_an_answer_is_lost(
    world: Ports, flow: Flow[Any], clock: ManualClock, fate: str, meanwhile: str, answer: bool | None
) -> None:
    """Whoever withdraws it is told what became of it, or that nobody knows."""
    host = Kernel(flows=[flow], ports=world)
    run = await host.start(flow, Mail("ada"))
    deadline = await host.cancel_later(
        NOWHERE if meanwhile == "its run is nowhere" else run.id, after=60, reason="late"
    )

    async def lose() -> None:
        kept = await world.scheduler.read(deadline.name)
        assert kept is not None
        if fate == "taken":
            assert await world.scheduler.ack(kept)
        if meanwhile == "carried out":
            clock.advance(60)
            assert (await Hands(host).fire()).cancelled == 1
        elif meanwhile == "cancelled for another reason":
            await run.cancel(reason="no need")
        raise CommitUnknown("no answer")

    losing: Any = Overtaken(world.scheduler, ack=once(lose))
    ports = evolve(world, scheduler=losing, clock=_Hurrying(clock))
    asking = await Kernel(flows=[flow], ports=ports).find_deferred(deadline.name)

    with nullcontext() if answer is not None else pytest.raises(CommitUnknown, match="unknown whether 'cancel/"):
        assert await asking.withdraw() is answer
    assert await host.deferred() == []


@pytest.mark.fault(22)
@pytest.mark.parametrize("sent", [False, True], ids=["withdrawn", "carried out"])
async def test_a_signal_is_withdrawn_although_an_answer_is_lost(world: Ports, clock: ManualClock, sent: bool) -> None:
    """Whether a host has sent it meanwhile is told by its row."""
    flow = Flow("order", version=1)
    flow.signal("approval", int)
    host = Kernel(flows=[flow], ports=world)
    run = await host.start(flow, None)
    entry = SignalEntry(
        run_id=run.id, flow="order", step="approval", key="k", payload="1", facts=None, digest=digest_of(b"1")
    )
    name = requested_signal_name(run.id, "approval", "k")
    await world.scheduler.schedule(
        ScheduledCommand(name=name, due_at=clock.now(), command=write_entry(entry), flow="order")
    )

    async def lose() -> None:
        if sent:
            assert (await Hands(host).fire()).signalled == 1
        else:
            assert await world.scheduler.cancel(name)
        raise CommitUnknown("no answer")

    losing: Any = Overtaken(world.scheduler, ack=once(lose))
    ports = evolve(world, scheduler=losing, clock=_Hurrying(clock))

    assert await (await Kernel(flows=[flow], ports=ports).find_deferred(name)).withdraw() is not sent


@pytest.mark.fault(62)
@pytest.mark.parametrize("commits", [True, False], ids=["and commits", "and never commits"])
async def test_a_deadline_comes_before_whoever_starts_its_run_commits(
    world: Ports, flow: Flow[Any], clock: ManualClock, commits: bool
) -> None:
    """It is not forgotten while their transaction may be open, nor kept for ever after that."""
    caller = Kernel(flows=[flow], ports=evolve(world, new_id=lambda: NOWHERE))
    host = Kernel(flows=[flow], ports=world)
    deadline = await caller.cancel_later(NOWHERE, after=0, reason="too late")

    (trouble,) = (await Hands(host).fire()).troubles
    assert (trouble.name, trouble.held) == (deadline.name, False)
    if commits:
        run = await caller.start(flow, Mail("ada"))
        clock.advance(retry_at(clock.now(), 1) - clock.now())
        assert (await Hands(host).fire()).cancelled == 1
        assert (await run.read()).reason == "too late"
    else:
        clock.advance(CALLERS_TAKE_MAX)
        assert (await Hands(host).fire()).troubles == ()

    assert await host.deferred() == []


@pytest.mark.fault(62)
async def test_the_deadline_of_a_run_that_was_removed_long_ago_is_forgotten(world: Ports, clock: ManualClock) -> None:
    """At once: no transaction is open for so long."""
    host = Kernel(flows=[], ports=world)
    await host.cancel_later(NOWHERE, after=CALLERS_TAKE_MAX)
    clock.advance(CALLERS_TAKE_MAX)

    fired = await Hands(host).fire()

    assert (fired.claimed, fired.cancelled, fired.troubles) == (1, 0, ())
    assert await host.deferred() == []


@pytest.mark.parametrize("key", [None, "mail-7"])
async def test_the_deadline_of_a_run_that_has_not_started_withdraws_its_start(
    world: Ports, clock: ManualClock, key: str | None
) -> None:
    """No host with the code came by until then; and a run that is pruned is forgotten."""
    kernel = Kernel(flows=[mail_flow()], ports=world)
    deferred = await kernel.start_later("mail", Mail("ada"), after=60, key=key)
    await kernel.start_later("mail", Mail("bob"), after=6000, key="another")
    await kernel.cancel_later(deferred.record.run_id, after=120)
    clock.advance(300)
    await Hands(Kernel(flows=[], ports=world)).fire()

    assert (await Hands(kernel).fire()).claimed == 0
    assert len(await kernel.deferred()) == 1
    assert [(run.id, run.status) for run in (await kernel.runs()).runs] == [
        (deferred.record.run_id, RunStatus.CANCELLED)
    ]


async def test_a_start_that_fits_no_more_is_held_and_can_be_tried_again(world: Ports, clock: ManualClock) -> None:
    """After the flow is mended; other commands go on meanwhile."""
    old = Kernel(flows=[mail_flow(1)], ports=world)
    deferred = await old.start_later("mail", Mail("ada"), after=60)
    clock.advance(60)
    (trouble,) = (await Hands(Kernel(flows=[mail_flow(2, input=int)], ports=world)).fire()).troubles
    assert (trouble.name, trouble.held) == (deferred.name, True)
    assert (await Hands(old).fire()).claimed == 0
    record = await deferred.read()
    assert (record.held, record.failures, record.problem) == (True, 1, trouble.problem)

    again = await (await old.find_deferred(deferred.name)).retry()

    assert (again.held, again.failures, again.problem) == (False, 0, None)
    newest = Kernel(flows=[mail_flow(1), mail_flow(3)], ports=world)
    assert (await Hands(newest).fire()).started == 1
    assert (await (await deferred.run()).read()).version == "3"
    with pytest.raises(DeferredNotFound):
        await deferred.retry()


@pytest.mark.fault(59)
async def test_a_host_that_lacks_the_flow_does_not_start_it(world: Ports, clock: ManualClock) -> None:
    """It is left to one that has it."""
    kernel = Kernel(flows=[mail_flow()], ports=world)
    await kernel.start_later("mail", Mail("ada"), after=0)

    assert (await Hands(Kernel(flows=[mail_flow(slug="other")], ports=world)).fire()).claimed == 0
    assert (await Hands(kernel).fire()).started == 1


class Dying:
    """Persistence whose process dies at a start, or which fails it.

    Args:
        inner: where runs are put down.
        effect: whether the run is there by then.
        error: what whoever starts it gets.
    """

    def __init__(self, inner: Persistence, *, effect: bool, error: BaseException | None = None) -> None:
        self._inner = inner
        self._effect = effect
        self._error = asyncio.CancelledError() if error is None else error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def insert_runs(self, runs: Any, **options: Any) -> Any:
        """Put them down, or not."""
        if self._effect:
            await self._inner.insert_runs(runs, **options)
        raise self._error


def over_dying(world: Ports, *, effect: bool, error: BaseException | None = None) -> Ports:
    """These ports, in whose persistence starts die."""
    dying: Any = Dying(world.persistence, effect=effect, error=error)
    return evolve(world, persistence=dying)


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
async def test_a_host_that_dies_while_it_starts_a_run(
    world: Ports, flow: Flow[Any], clock: ManualClock, effect: bool
) -> None:
    """Before or after the run is put down: another host takes over, and there is one run under the promised id."""

    kernel = Kernel(flows=[flow], ports=world)
    deferred = await kernel.start_later(flow, Mail("ada"), after=60)
    clock.advance(60)
    with pytest.raises(asyncio.CancelledError):
        await Hands(Kernel(flows=[flow], ports=over_dying(world, effect=effect))).fire()

    clock.advance(FIRE_CLAIM)
    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (1, 1)
    assert [run.id for run in (await kernel.runs()).runs] == [deferred.record.run_id]


@pytest.mark.fault(2, 21)
async def test_a_start_that_fails_once_its_run_is_there(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """The host that put it down died before it forgot the start. The next one cannot, and takes nothing from it."""
    deferred = await Kernel(flows=[flow], ports=world).start_later(flow, Mail("ada" * 1000), after=60)
    dying, failing = [
        Kernel(flows=[flow], ports=over_dying(world, effect=effect, error=error), inline_bytes_max=10)
        for effect, error in ((True, None), (False, Unavailable("no route")))
    ]
    clock.advance(60)
    with pytest.raises(asyncio.CancelledError):
        await Hands(dying).fire()
    clock.advance(FIRE_CLAIM)

    (trouble,) = (await Hands(failing).fire()).troubles

    assert not trouble.held
    assert len(await referenced_blobs(world, deferred.record.run_id)) == 1


@frozen
class Letter:
    """The input, as the next version takes it: what was sent before has the default."""

    to: str
    stamped: bool = False


@pytest.mark.fault(1, 2, 59)
@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("size", [1, 1000], ids=["in its row", "in a blob"])
async def test_a_host_that_dies_during_a_deployment(world: Ports, clock: ManualClock, effect: bool, size: int) -> None:
    """Another one with the next version takes over: there is one run, of either version, and its input is whole."""
    old, new = mail_flow(1), mail_flow(2, input=Letter)
    kernel = Kernel(flows=[new], ports=world, inline_bytes_max=100)
    dying = Kernel(flows=[old], ports=over_dying(world, effect=effect), inline_bytes_max=100)
    deferred = await Kernel(flows=[old], ports=world).start_later(old, Mail("ada" * size), after=60)
    clock.advance(60)
    with pytest.raises(asyncio.CancelledError):
        await Hands(dying).fire()
    clock.advance(FIRE_CLAIM)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started, fired.troubles) == (1, 1, ())
    assert await kernel.deferred() == []
    (run,) = (await kernel.runs()).runs
    assert (run.id, run.version) == (deferred.record.run_id, "1" if effect else "2")
    assert len(await referenced_blobs(world, run.id)) == (size == 1000)


@pytest.mark.fault(22)
@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
async def test_a_lost_answer_defers_a_start_once(
    world: Ports, flow: Flow[Any], clock: ManualClock, effect: bool
) -> None:
    """Whether the commit took effect or not, the call finds out, and is told one id."""
    lost = 0

    class Losing:
        """A scheduler whose first answer is lost."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.scheduler, name)

        async def schedule(self, command: Any, *, replace: bool = True) -> bool:
            nonlocal lost
            lost += 1
            done = (lost > 1 or effect) and await world.scheduler.schedule(command, replace=replace)
            if lost == 1:
                raise CommitUnknown("no answer")
            return done

    losing: Any = Losing()
    kernel = Kernel(flows=[flow], ports=evolve(world, scheduler=losing, clock=_Hurrying(clock)))

    deferred = await kernel.start_later(flow, Mail("ada"), after=60)

    assert deferred.created
    assert [each.record.run_id for each in await kernel.deferred()] == [deferred.record.run_id]


class _Hurrying:
    """A clock of which nobody waits for anything."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.uncertainty_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now(self) -> datetime:
        """The time."""
        return self._clock.now()

    def monotonic(self) -> float:
        """The time in seconds."""
        return self._clock.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """No time passes."""

    async def synchronise(self) -> None:
        """Nothing to do."""


async def test_a_large_input_waits_in_a_blob(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """Which is gone once the run has its own, or the start was withdrawn."""

    async def blobs(prefix: str) -> int:
        return len([blob async for blob in world.blobs.list(prefix)])

    kernel = Kernel(flows=[flow], ports=world, inline_bytes_max=10)
    first, second = [await kernel.start_later(flow, Mail("ada" * 1000), after=60) for _ in range(2)]
    assert await blobs("scheduled/") == 2
    assert await second.withdraw()
    clock.advance(60)
    await Hands(kernel).fire()

    assert (await blobs("scheduled/"), await blobs(f"runs/{first.record.run_id}/")) == (0, 1)


@pytest.mark.fault(61)
async def test_a_blob_store_that_is_away_puts_a_start_off(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """Nothing is lost by it."""

    class Away:
        """A blob store that cannot be reached."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.blobs, name)

        async def get(self, key: str) -> bytes:
            raise Unavailable("no route")

    away: Any = Away()
    kernel = Kernel(flows=[flow], ports=world, inline_bytes_max=10)
    deferred = await kernel.start_later(flow, Mail("ada" * 1000), after=60)
    clock.advance(60)
    (trouble,) = (await Hands(Kernel(flows=[flow], ports=evolve(world, blobs=away))).fire()).troubles
    assert not trouble.held
    clock.advance(1)

    assert (await Hands(kernel).fire()).started == 1
    assert await (await deferred.run()).status() is RunStatus.PENDING


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"after": 1, "at": datetime.fromisoformat("2030-01-01T00:00+00:00")},
        {"after": -1},
        {"after": "soon"},
        {"after": float("nan")},
        {"at": datetime(2030, 1, 1)},
        {"at": "2030-01-01"},
    ],
)
async def test_what_is_no_time_is_refused(kernel: Kernel, flow: Flow[Any], given: dict[str, Any]) -> None:
    """One of `at` and `after`, and a real one; nothing is deferred."""
    with pytest.raises(InvalidArgument):
        await kernel.start_later(flow, Mail("ada"), **given)
    with pytest.raises(InvalidArgument):
        await kernel.cancel_later("0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10", **given)
    assert await kernel.deferred() == []


async def test_what_does_not_fit_is_refused_at_once(kernel: Kernel, flow: Flow[Any]) -> None:
    """Input and key, as at a start; names that are none."""
    with pytest.raises(InvalidInput):
        await kernel.start_later(flow, {"to": 5}, after=1)
    with pytest.raises(InvalidInput):
        await kernel.start_later(flow, Mail("ada"), after=1, key="")
    with pytest.raises(InvalidArgument):
        await kernel.cancel_later("", after=1)
    with pytest.raises(InvalidArgument):
        await kernel.find_deferred("cron/report")
    with pytest.raises(DeferredNotFound):
        await kernel.find_deferred("start/unknown")
    assert await kernel.deferred() == []
