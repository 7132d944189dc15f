"""Deferred commands: started at a time, cancelled at a deadline, exactly once, never lost."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve, frozen

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, IdempotencyConflict, InvalidArgument, InvalidInput, Kernel, RunNotFound, RunStatus
from fairlead.kernel.dispatch.firing import FIRE_CLAIM
from fairlead.kernel.errors import DeferredNotFound
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Unavailable
from tests.support.hands import Hands


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
    assert (deferred.created, deferred.due_at) == (True, clock.now() + timedelta(seconds=60))
    with pytest.raises(RunNotFound):
        await deferred.run.record()
    clock.advance(59)
    assert (await Hands(kernel).fire()).claimed == 0
    clock.advance(1)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (1, 1)
    record = await deferred.run.record()
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
    assert (again.run.id, again.created, (await again.read()).due_at) == (first.run.id, False, first.due_at)
    with pytest.raises(IdempotencyConflict, match=first.run.id):
        await kernel.start_later(flow, Mail("bob"), after=60, key="k")

    clock.advance(60)
    assert (await Hands(kernel).fire()).started == 1

    assert (await kernel.start_later(flow, Mail("ada"), after=60, key="k")).run.id == first.run.id
    assert (await kernel.start(flow, Mail("ada"), key="k")).id == first.run.id
    with pytest.raises(IdempotencyConflict):
        await kernel.start_later(flow, Mail("bob"), after=60, key="k")
    assert await kernel.deferred() == []


async def test_one_key_at_once(world: Ports) -> None:
    """A hundred calls, one run."""
    kernels = [Kernel(flows=[mail_flow()], ports=world) for _ in range(4)]
    found = await asyncio.gather(
        *(kernels[number % 4].start_later("mail", Mail("ada"), after=0, key="k") for number in range(100))
    )
    await asyncio.gather(*(Hands(kernel).fire() for kernel in kernels))

    assert len({each.run.id for each in found}) == 1
    assert sum(each.created for each in found) == 1
    assert len((await kernels[0].list_runs()).runs) == 1


async def test_a_key_that_was_used_meanwhile_starts_no_second_run(
    kernel: Kernel, flow: Flow[Any], clock: ManualClock
) -> None:
    """The same payload is done; another one holds the command, with its problem."""
    await kernel.start_later(flow, Mail("ada"), after=60, key="same")
    other = await kernel.start_later(flow, Mail("ada"), after=60, key="other")
    await kernel.start(flow, Mail("ada"), key="same")
    await kernel.start(flow, Mail("bob"), key="other")
    clock.advance(60)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (2, 0)
    (held,) = await kernel.deferred()
    assert (held.name, held.held, held.failures) == (other.name, True, 1)
    assert "IdempotencyConflict" in (held.problem or "")


async def test_a_start_can_be_withdrawn(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """Once; not when a host is just carrying it out, or has."""
    first, second, third = [await kernel.start_later(flow, Mail("ada"), after=60) for _ in range(3)]

    assert await first.withdraw()
    assert not await first.withdraw()
    clock.advance(60)
    (claimed, _) = await kernel.ports.scheduler.claim_due(
        flows=["mail"], now=clock.now(), until=clock.now() + FIRE_CLAIM, limit=2
    )
    assert not await kernel.withdraw(claimed.scheduled.name)
    clock.advance(FIRE_CLAIM)
    assert await second.withdraw()
    await Hands(kernel).fire()
    assert not await third.withdraw()
    assert [run.id for run in (await kernel.list_runs()).runs] == [third.run.id]


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
    assert [(await run.record()).reason for run in (late, early)] == ["too late", "no need"]
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


@pytest.mark.parametrize("key", [None, "mail-7"])
async def test_the_deadline_of_a_run_that_has_not_started_withdraws_its_start(
    world: Ports, clock: ManualClock, key: str | None
) -> None:
    """No host with the code came by until then; and a run that is pruned is forgotten."""
    kernel = Kernel(flows=[mail_flow()], ports=world)
    deferred = await kernel.start_later("mail", Mail("ada"), after=60, key=key)
    await kernel.start_later("mail", Mail("bob"), after=6000, key="another")
    await kernel.cancel_later(deferred.run.id, after=120)
    clock.advance(300)
    await Hands(Kernel(flows=[], ports=world)).fire()

    assert (await Hands(kernel).fire()).claimed == 0
    assert len(await kernel.deferred()) == 1
    assert (await kernel.list_runs()).runs == []


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

    again = await old.retry_deferred(deferred.name)

    assert (again.held, again.failures, again.problem) == (False, 0, None)
    newest = Kernel(flows=[mail_flow(1), mail_flow(3)], ports=world)
    assert (await Hands(newest).fire()).started == 1
    assert (await deferred.run.record()).version == "3"
    with pytest.raises(DeferredNotFound):
        await old.retry_deferred(deferred.name)


async def test_a_host_that_lacks_the_flow_does_not_start_it(world: Ports, clock: ManualClock) -> None:
    """It is left to one that has it."""
    kernel = Kernel(flows=[mail_flow()], ports=world)
    await kernel.start_later("mail", Mail("ada"), after=0)

    assert (await Hands(Kernel(flows=[mail_flow(slug="other")], ports=world)).fire()).claimed == 0
    assert (await Hands(kernel).fire()).started == 1


@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
async def test_a_host_that_dies_while_it_starts_a_run(
    world: Ports, flow: Flow[Any], clock: ManualClock, effect: bool
) -> None:
    """Before or after the run is put down: another host takes over, and there is one run under the promised id."""

    class Dying:
        """Persistence whose process dies at a start."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.persistence, name)

        async def insert_runs(self, runs: Any) -> Any:
            if effect:
                await world.persistence.insert_runs(runs)
            raise asyncio.CancelledError

    dying: Any = Dying()
    kernel = Kernel(flows=[flow], ports=world)
    deferred = await kernel.start_later(flow, Mail("ada"), after=60)
    clock.advance(60)
    with pytest.raises(asyncio.CancelledError):
        await Hands(Kernel(flows=[flow], ports=evolve(world, persistence=dying))).fire()

    clock.advance(FIRE_CLAIM)
    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (1, 1)
    assert [run.id for run in (await kernel.list_runs()).runs] == [deferred.run.id]


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
    assert [each.run_id for each in await kernel.deferred()] == [deferred.run.id]


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

    assert (await blobs("scheduled/"), await blobs(f"runs/{first.run.id}/")) == (0, 1)


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
    assert await deferred.run.status() is RunStatus.PENDING


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
        await kernel.withdraw("cron/report")
    assert not await kernel.withdraw("start/unknown")
    assert await kernel.deferred() == []
