"""Acceptance behaviour 65: schedules start one run per tick, whatever happens to their hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from attrs import evolve, frozen

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import AnnotationValue, Flow, InvalidArgument, InvalidInput, Kernel, Schedule, UnknownFlow
from fairlead.kernel.commands import Trouble
from fairlead.kernel.decisions.firing import CATCH_UP_MAX, ON_TIME
from fairlead.kernel.dispatch.firing import FIRE_CLAIM
from fairlead.kernel.dispatch.scheduling import CHANGE_TRIES_MAX
from fairlead.kernel.errors import InvalidCron, ScheduleNotFound, ScheduleTaken, UnknownZone
from fairlead.kernel.schedules import LeftOut, ScheduleStatus
from fairlead.ports import Ports
from fairlead.ports.errors import AdapterError, CommitUnknown, Contention, Unavailable
from fairlead.ports.reading import RunFilter
from tests.support.hands import Hands
from tests.support.overtaken import Overtaken, once
from tests.support.troubled import PatientClock

EVERY_MINUTE = "* * * * *"
MINUTE = timedelta(minutes=1)


@frozen
class Night:
    """The input."""

    shop: str
    pages: int = 1


@frozen
class LaterNight:
    """The input that a later version takes, whose new field has no default."""

    shop: str
    region: str


def report_flow(version: int = 1, *, slug: str = "report", input: Any = Night) -> Flow[Any]:
    """One step."""
    flow = Flow(slug, version=version, input=input, input_name="night")

    @flow.step
    def compute() -> int:
        return 1

    return flow


@pytest.fixture
def flow() -> Flow[Any]:
    """What is scheduled."""
    return report_flow()


@pytest.fixture
def kernel(world: Ports, flow: Flow[Any]) -> Kernel:
    """A kernel that has it."""
    return Kernel(flows=[flow], ports=world)


async def ticks_of(kernel: Kernel, name: str = "report") -> list[str]:
    """The ticks of a schedule that have a run, in order."""
    page = await kernel.runs(RunFilter(), limit=1_000)
    prefix = f"schedule/{name}/"
    return sorted(run.key.removeprefix(prefix) for run in page.runs if run.key and run.key.startswith(prefix))


def shown(ticks: Sequence[datetime]) -> list[str]:
    """Moments as keys have them."""
    return [f"{tick:%Y-%m-%dT%H:%M:%SZ}" for tick in ticks]


async def test_every_tick_starts_one_run(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """With the schedule's input, config and priority, and with the tick in its key."""
    began = clock.now()
    schedule = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"), priority=3)
    fired: list[int] = []
    for _ in range(6):
        clock.advance(30)
        fired.append((await Hands(kernel).fire()).started)

    assert fired == [0, 1, 0, 1, 0, 1]
    assert await ticks_of(kernel) == shown([began + number * MINUTE for number in (1, 2, 3)])
    record = await schedule.read()
    assert (record.started, record.last_tick, record.next_at) == (3, began + 3 * MINUTE, began + 4 * MINUTE)
    run = (await kernel.runs(limit=1)).runs[0]
    payload = (await kernel.ports.persistence.read_payloads((run.id,), ())).runs[run.id]
    assert (run.priority, payload.input) == (3, b'{"pages":1,"shop":"ada"}')


@pytest.mark.fault(70)
async def test_many_hosts_fire_a_tick_once(world: Ports, clock: ManualClock) -> None:
    """Five kernels that look at the same moment, tick after tick."""
    kernels = [Kernel(flows=[report_flow()], ports=world) for _ in range(5)]
    for kernel in kernels:
        await kernel.schedule("report", cron=EVERY_MINUTE, input=Night("ada"))
    started = 0
    for _ in range(5):
        clock.advance(60)
        started += sum(each.started for each in await asyncio.gather(*(Hands(kernel).fire() for kernel in kernels)))

    assert started == 5
    assert len(await ticks_of(kernels[0])) == 5


async def test_the_same_schedule_again_changes_nothing(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """Every process may declare it when it begins: neither its place nor a pause is lost."""
    first = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(90)

    again = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))

    assert again.record == first.record
    await first.pause()
    assert (await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))).record.status is ScheduleStatus.PAUSED
    changed = await kernel.schedule(flow, cron="*/5 * * * *", input=Night("ada"))
    assert (changed.record.status, changed.record.cron) == (ScheduleStatus.PAUSED, "*/5 * * * *")
    assert [each.name for each in await kernel.schedules()] == ["report"]


async def test_many_processes_declare_a_schedule_at_once(world: Ports) -> None:
    """One of them makes it, all of them are told the same."""
    kernels = [Kernel(flows=[report_flow()], ports=world) for _ in range(8)]

    made = await asyncio.gather(
        *(kernel.schedule("report", cron=EVERY_MINUTE, input=Night("ada")) for kernel in kernels)
    )

    assert [each.record for each in made] == [made[0].record] * len(kernels)


@pytest.mark.fault(69)
@pytest.mark.parametrize("there", [False, True], ids=["new", "changed"])
async def test_a_schedule_that_somebody_else_writes_first(world: Ports, there: bool) -> None:
    """Between the look and the write: one more look finds what was wanted; of the input in a blob there is one."""
    other = Kernel(flows=[report_flow()], ports=world, inline_bytes_max=10)
    if there:
        await other.schedule("report", cron=EVERY_MINUTE, input=Night("bob" * 10))

    async def declare() -> None:
        await other.schedule("report", cron=EVERY_MINUTE, input=Night("ada" * 10))

    overtaken: Any = Overtaken(world.scheduler, **{"put_back" if there else "schedule": once(declare)})
    slower = Kernel(flows=[report_flow()], ports=evolve(world, scheduler=overtaken), inline_bytes_max=10)

    made = await slower.schedule("report", cron=EVERY_MINUTE, input=Night("ada" * 10))

    assert made.record == await (await other.find_schedule("report")).read()
    assert len([blob async for blob in world.blobs.list("scheduled/")]) == 1


@pytest.mark.fault(69)
async def test_others_who_are_always_faster(world: Ports, clock: ManualClock) -> None:
    """A call gives up after a while and says so: what it wanted is nowhere, what the others did stands."""
    other = Kernel(flows=[report_flow()], ports=world)
    theirs = await other.schedule("report", cron=EVERY_MINUTE, input=Night("0"))
    changes = 0

    async def change() -> None:
        nonlocal changes
        changes += 1
        await other.schedule("report", cron=EVERY_MINUTE, input=Night(f"{changes}"))

    overtaken: Any = Overtaken(world.scheduler, put_back=change)
    patient = PatientClock(clock.now())
    slower = Kernel(flows=[report_flow()], ports=evolve(world, scheduler=overtaken, clock=patient))
    with pytest.raises(Contention, match="schedule 'report' is changed by others all the time"):
        await (await slower.find_schedule("report")).pause()

    assert changes >= CHANGE_TRIES_MAX
    assert (await theirs.read()).status is ScheduleStatus.ACTIVE
    clock.advance(60)
    await Hands(other).fire()
    (run,) = (await other.runs()).runs
    payload = (await world.persistence.read_payloads((run.id,), ())).runs[run.id]
    assert payload.input == f'{{"pages":1,"shop":"{changes}"}}'.encode()


async def test_a_changed_input_keeps_the_place(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """No tick is lost or doubled by it; another cron expression begins anew."""
    began = clock.now()
    await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)
    await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("bob"))
    await Hands(kernel).fire()
    assert await ticks_of(kernel) == shown([began + MINUTE])

    clock.advance(60)
    schedule = await kernel.schedule(flow, cron="*/2 * * * *", input=Night("bob"))

    assert schedule.record.next_at == began + 4 * MINUTE


@pytest.mark.fault(70)
@pytest.mark.parametrize(("catch_up", "caught_up"), [("none", []), ("last", [59]), ("all", list(range(1, 60)))])
async def test_missed_ticks_follow_the_policy(
    kernel: Kernel,
    flow: Flow[Any],
    clock: ManualClock,
    catch_up: Literal["none", "last", "all"],
    caught_up: list[int],
) -> None:
    """After an hour without a host, whose last minute is not missed, since its tick is only late."""
    began = clock.now()
    schedule = await kernel.schedule(flow, cron="0 * * * * *", input=Night("ada"), catch_up=catch_up)
    clock.advance(59 * 60 + ON_TIME.total_seconds())
    fired = await Hands(kernel).fire()
    while (await Hands(kernel).fire()).claimed:
        pass

    on_time = [60]
    expected = [] if catch_up == "last" else caught_up
    assert await ticks_of(kernel) == shown([began + number * MINUTE for number in [*expected, *on_time]])
    left = {"none": LeftOut(began + MINUTE, began + 59 * MINUTE), "last": LeftOut(began + MINUTE, began + 59 * MINUTE)}
    assert dict(fired.left_out) == ({} if catch_up == "all" else {"report": left[catch_up]})
    record = await schedule.read()
    assert (record.left_out, record.next_at) == (left.get(catch_up), began + 61 * MINUTE)


@pytest.mark.parametrize(("catch_up", "hours"), [("none", []), ("last", [5]), ("all", [1, 2, 3, 4, 5])])
async def test_ticks_that_were_missed_altogether(
    kernel: Kernel, flow: Flow[Any], clock: ManualClock, catch_up: Literal["none", "last", "all"], hours: list[int]
) -> None:
    """No tick is on time: `last` fires the last one."""
    began = clock.now()
    await kernel.schedule(flow, cron="@hourly", input=Night("ada"), catch_up=catch_up)
    clock.advance(timedelta(hours=5, minutes=30))
    await Hands(kernel).fire()

    assert await ticks_of(kernel) == shown([began + timedelta(hours=each) for each in hours])


@pytest.mark.fault(41, 70)
async def test_catching_up_is_bounded(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """The last thousand, in bounded transactions; which are left out is told."""
    began = clock.now()
    await kernel.schedule(flow, cron="* * * * * *", input=Night("ada"), catch_up="all")
    clock.advance(CATCH_UP_MAX + 1_000)
    left_out = None
    rounds = 0
    while (fired := await Hands(kernel).fire()).claimed:
        rounds += 1
        left_out = left_out or dict(fired.left_out).get("report")
        assert fired.started <= 100

    late = int(ON_TIME.total_seconds())
    first = 1_000 - late + 1
    second = timedelta(seconds=1)
    assert left_out == LeftOut(began + second, began + (first - 1) * second)
    assert rounds == (CATCH_UP_MAX + late + 99) // 100
    record = (await kernel.find_schedule("report")).record
    assert (record.started, record.last_tick) == (CATCH_UP_MAX + late, clock.now())


@pytest.mark.fault(43)
async def test_local_time_is_that_of_the_zone(world: Ports) -> None:
    """On the day on which clocks are put forward a daily run is not lost, on the other it does not come twice."""
    clock = ManualClock(datetime.fromisoformat("2026-03-28T12:00+01:00"))
    kernel = Kernel(flows=[report_flow()], ports=evolve(world, clock=clock))
    await kernel.schedule("report", cron="30 2 * * *", zone="Europe/Berlin", input=Night("ada"))
    for _ in range(24 * 4):
        clock.advance(timedelta(minutes=30))
        await Hands(kernel).fire()
    assert await ticks_of(kernel) == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]

    clock.advance(datetime.fromisoformat("2026-10-24T12:00+02:00") - clock.now())
    await Hands(kernel).fire()
    for _ in range(24 * 4):
        clock.advance(timedelta(minutes=30))
        await Hands(kernel).fire()

    assert (await ticks_of(kernel))[2:] == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]


async def test_a_paused_schedule_does_not_tick(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """And goes on from when it is resumed, without what it would have done meanwhile, whatever its policy."""
    began = clock.now()
    schedule = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"), catch_up="all")
    assert (await schedule.pause()).status is ScheduleStatus.PAUSED
    clock.advance(10 * 60)
    assert (await Hands(kernel).fire()).claimed == 0

    assert (await schedule.resume()).next_at == began + 11 * MINUTE
    clock.advance(60)
    await Hands(kernel).fire()

    assert await ticks_of(kernel) == shown([began + 11 * MINUTE])
    assert (await schedule.resume()).next_at == began + 12 * MINUTE


async def test_pausing_while_a_host_fires(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """The host that holds the schedule does not undo the pause; its tick is started once."""
    schedule = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)
    hands = Hands(kernel)
    answers = await asyncio.gather(hands.fire(), schedule.pause(), hands.fire(), schedule.pause())

    record = await schedule.read()
    assert (record.status, record.next_at) == (ScheduleStatus.PAUSED, None)
    assert len(await ticks_of(kernel)) <= 1
    assert answers[1].status is ScheduleStatus.PAUSED
    clock.advance(600)
    assert (await hands.fire()).claimed == 0


async def test_a_schedule_that_is_changed_while_a_host_fires(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """Removed, paused and resumed in the midst of it: what was done last stays."""
    holding = asyncio.Event()
    going = asyncio.Event()

    class Slow:
        """Persistence that lets a start wait."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.persistence, name)

        async def insert_runs(self, runs: Any, **options: Any) -> Any:
            holding.set()
            await going.wait()
            return await world.persistence.insert_runs(runs, **options)

    slow: Any = Slow()
    firing = Kernel(flows=[flow], ports=evolve(world, persistence=slow))
    other = Kernel(flows=[], ports=world)
    schedule = await firing.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)
    fire = asyncio.ensure_future(Hands(firing).fire())
    await holding.wait()
    assert await (await other.find_schedule("report")).remove()
    going.set()
    await fire

    assert await other.schedules() == []
    assert len(await ticks_of(other)) == 1
    assert not await schedule.remove()


async def test_a_trigger_starts_one_more_run(kernel: Kernel, flow: Flow[Any], clock: ManualClock) -> None:
    """At once, also of a paused one; its ticks stay as they are."""
    schedule = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))
    await schedule.pause()

    first, second = await schedule.trigger(), await schedule.trigger()

    assert first.id != second.id
    assert [str(await run.status()) for run in (first, second)] == ["pending", "pending"]
    assert await ticks_of(kernel) == []
    assert (await schedule.read()).status is ScheduleStatus.PAUSED


async def test_a_trigger_without_the_code_is_carried_out_by_a_host(world: Ports, flow: Flow[Any]) -> None:
    """As the command line does it: the run's id is known, and a host that has the flow starts it."""
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.schedule(flow, cron="@yearly", input=Night("ada"))
    bare = Kernel(flows=[], ports=world)

    run = await (await bare.find_schedule("report")).trigger()

    assert (await Hands(bare).fire()).claimed == 0
    assert (await Hands(kernel).fire()).started == 1
    assert str(await run.status()) == "pending"


@pytest.mark.fault(70)
async def test_a_host_that_dies_while_it_fires(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """After the run was started and before the schedule was put back: another takes over, and there is one run."""

    class Dying:
        """A scheduler whose process dies before it puts anything back."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.scheduler, name)

        async def put_back(self, *_: object) -> bool:
            raise Unavailable("it is gone")

    dying: Any = Dying()
    kernel = Kernel(flows=[flow], ports=world)
    began = clock.now()
    await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)
    with pytest.raises(Unavailable):
        await Hands(Kernel(flows=[flow], ports=evolve(world, scheduler=dying))).fire()
    assert len(await ticks_of(kernel)) == 1

    assert (await Hands(kernel).fire()).claimed == 0
    clock.advance(FIRE_CLAIM)
    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started) == (1, 0)
    assert await ticks_of(kernel) == shown([began + MINUTE])
    assert (await kernel.find_schedule("report")).record.next_at == began + 2 * MINUTE


@pytest.mark.fault(70)
async def test_a_host_dies_while_it_fires_and_the_input_is_changed(
    world: Ports, flow: Flow[Any], clock: ManualClock
) -> None:
    """The tick that has a run already is left out, and stands in the way of no other one, which have the new input."""

    async def die() -> None:
        raise Unavailable("it is gone")

    dying: Any = Overtaken(world.scheduler, put_back=die)
    kernel = Kernel(flows=[flow], ports=world)
    began = clock.now()
    await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"), catch_up="all")
    clock.advance(60)
    with pytest.raises(Unavailable):
        await Hands(Kernel(flows=[flow], ports=evolve(world, scheduler=dying))).fire()
    await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("bob"), catch_up="all")
    clock.advance(60)

    fired = await Hands(kernel).fire()

    assert (fired.claimed, fired.started, fired.troubles) == (1, 1, ())
    runs = (await kernel.runs()).runs
    payloads = (await world.persistence.read_payloads(tuple(run.id for run in runs), ())).runs
    inputs = {run.key: payloads[run.id].input for run in runs}
    first, second = (f"schedule/report/{tick}" for tick in shown([began + MINUTE, began + 2 * MINUTE]))
    assert inputs == {first: b'{"pages":1,"shop":"ada"}', second: b'{"pages":1,"shop":"bob"}'}
    record = (await kernel.find_schedule("report")).record
    assert (record.started, record.last_tick, record.next_at) == (1, began + 2 * MINUTE, began + 3 * MINUTE)


async def test_a_host_that_lacks_the_flow_leaves_its_schedules_alone(world: Ports, clock: ManualClock) -> None:
    """It neither fires nor claims them."""
    having = Kernel(flows=[report_flow()], ports=world)
    lacking = Kernel(flows=[report_flow(slug="other")], ports=world)
    await having.schedule("report", cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)

    assert (await Hands(lacking).fire()).claimed == 0
    assert (await Hands(having).fire()).started == 1
    with pytest.raises(UnknownFlow):
        await lacking.schedule("report", cron=EVERY_MINUTE)


@pytest.mark.fault(59)
async def test_the_newest_version_that_the_host_has_is_started(world: Ports, clock: ManualClock) -> None:
    """A schedule outlives the version that it was made with, in a deployment both ways."""
    old = Kernel(flows=[report_flow(1)], ports=world)
    both = Kernel(flows=[report_flow(1), report_flow(2)], ports=world)
    await old.schedule("report", cron=EVERY_MINUTE, input=Night("ada"))
    for kernel in (both, old, both):
        clock.advance(60)
        await Hands(kernel).fire()

    page = await both.runs()
    assert sorted(run.version for run in page.runs) == ["1", "2", "2"]


async def test_input_that_no_longer_fits_holds_the_schedule(world: Ports, clock: ManualClock) -> None:
    """Its problem is visible, nothing is lost: once it fits again, the schedule goes on as its policy says."""
    began = clock.now()
    old = Kernel(flows=[report_flow(1)], ports=world)
    new = Kernel(flows=[report_flow(2, input=LaterNight)], ports=world)
    schedule = await old.schedule("report", cron=EVERY_MINUTE, input=Night("ada"), catch_up="all")
    clock.advance(60)

    (trouble,) = (await Hands(new).fire()).troubles

    assert (trouble.name, trouble.held) == ("cron/report", True)
    assert "region" in trouble.problem
    record = await schedule.read()
    assert (record.status, record.next_at, record.failures) == (ScheduleStatus.HELD, None, 1)
    assert record.problem == trouble.problem
    clock.advance(600)
    assert (await Hands(new).fire()).claimed == 0

    await new.schedule("report", cron=EVERY_MINUTE, input=LaterNight("ada", "north"), catch_up="all")
    await Hands(new).fire()

    assert await ticks_of(new) == shown([began + number * MINUTE for number in range(1, 12)])
    record = await schedule.read()
    assert (record.status, record.failures, record.problem) == (ScheduleStatus.ACTIVE, 0, None)


async def test_resuming_a_held_schedule_tries_again(world: Ports, clock: ManualClock) -> None:
    """As after a deployment that mends the flow."""
    old = Kernel(flows=[report_flow(1)], ports=world)
    schedule = await old.schedule("report", cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)
    await Hands(Kernel(flows=[report_flow(2, input=LaterNight)], ports=world)).fire()

    assert (await schedule.resume()).status is ScheduleStatus.ACTIVE

    assert (await Hands(Kernel(flows=[report_flow(3)], ports=world)).fire()).started == 1


async def test_a_host_with_an_older_version_does_not_hold_a_newer_ones_schedule(
    world: Ports, clock: ManualClock
) -> None:
    """In the midst of a deployment it leaves the command to the others."""
    new = Kernel(flows=[report_flow(2, input=LaterNight)], ports=world)
    old = Kernel(flows=[report_flow(1, input=int)], ports=world)
    await new.schedule("report", cron=EVERY_MINUTE, input=LaterNight("ada", "north"))
    clock.advance(60)

    (trouble,) = (await Hands(old).fire()).troubles

    assert not trouble.held
    clock.advance(2)
    assert (await Hands(new).fire()).started == 1


async def test_what_the_world_refuses_is_tried_again(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """With growing pauses, for ever where it may be reached again; the problem is told meanwhile."""
    error: AdapterError = Unavailable("no route to the store")

    class Refusing:
        """Persistence that starts nothing."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.persistence, name)

        async def insert_runs(self, runs: Any, **_: Any) -> Any:
            raise error

    refusing: Any = Refusing()
    kernel = Kernel(flows=[flow], ports=evolve(world, persistence=refusing))
    schedule = await kernel.schedule(flow, cron="@hourly", input=Night("ada"), catch_up="last")
    began = clock.now()
    clock.advance(3600)
    pauses: list[float] = []
    for _ in range(12):
        (trouble,) = (await Hands(kernel).fire()).troubles
        assert trouble == Trouble(name="cron/report", problem="Unavailable: no route to the store", held=False)
        record = await schedule.read()
        assert record.next_at is not None
        pauses.append((record.next_at - clock.now()).total_seconds())
        clock.advance(record.next_at - clock.now())
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]

    error = AdapterError("the store says no")
    (trouble,) = (await Hands(kernel).fire()).troubles
    assert trouble.held
    assert (await schedule.read()).status is ScheduleStatus.HELD

    await schedule.resume()
    assert (await Hands(Kernel(flows=[flow], ports=world)).fire()).started == 1
    assert await ticks_of(kernel) == shown([began + timedelta(hours=1)])


async def test_one_troubled_command_holds_up_no_other(world: Ports, clock: ManualClock) -> None:
    """They are carried out one by one, each with its own fate."""
    first = Kernel(flows=[report_flow(1)], ports=world)
    for name in ("a", "c"):
        await first.schedule("report", cron=EVERY_MINUTE, input=Night("ada"), name=name)
    second = Kernel(flows=[report_flow(1), report_flow(2, input=LaterNight), report_flow(slug="b")], ports=world)
    await second.schedule("b", cron=EVERY_MINUTE, input=Night("ada"))
    clock.advance(60)

    fired = await Hands(second).fire()

    assert (fired.claimed, fired.started, [each.name for each in fired.troubles]) == (3, 1, ["cron/a", "cron/c"])


async def test_a_large_input_is_kept_in_blobs(world: Ports, flow: Flow[Any], clock: ManualClock) -> None:
    """One of the schedule's own, one for each run, none left when the schedule is gone."""

    async def blobs(prefix: str) -> int:
        return len([blob async for blob in world.blobs.list(prefix)])

    kernel = Kernel(flows=[flow], ports=world, inline_bytes_max=10)
    schedule = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada" * 1000))
    assert (await blobs("scheduled/"), await blobs("runs/")) == (1, 0)
    for _ in range(2):
        clock.advance(60)
        await Hands(kernel).fire()
    await (await Kernel(flows=[], ports=world, inline_bytes_max=10).find_schedule("report")).trigger()
    assert (await blobs("scheduled/"), await blobs("runs/")) == (2, 2)
    await Hands(kernel).fire()
    await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("bob" * 1000))

    assert (await blobs("scheduled/"), await blobs("runs/")) == (1, 3)
    assert await schedule.remove()
    assert await blobs("scheduled/") == 0
    tasks = await Hands(kernel).claim_runs()
    assert len(await Hands(kernel).claim_tasks()) + len(tasks) == 3


@pytest.mark.fault(22)
@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
async def test_a_schedule_is_removed_although_an_answer_is_lost(
    world: Ports, flow: Flow[Any], clock: ManualClock, effect: bool
) -> None:
    """Whoever removes it is told that they did, and its input goes with it."""

    async def lose() -> None:
        if effect:
            assert await world.scheduler.cancel("cron/report")
        raise CommitUnknown("no answer")

    losing: Any = Overtaken(world.scheduler, cancel=once(lose))
    ports = evolve(world, scheduler=losing, clock=PatientClock())
    schedule = await Kernel(flows=[flow], ports=ports, inline_bytes_max=10).schedule(
        flow, cron=EVERY_MINUTE, input=Night("ada" * 1000)
    )

    assert await schedule.remove()
    assert [blob async for blob in world.blobs.list("scheduled/")] == []
    assert not await schedule.remove()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cron": "61 * * * *"}, InvalidCron),
        ({"cron": "0 0 30 2 *"}, InvalidCron),
        ({"cron": "* * *"}, InvalidCron),
        ({"cron": "@sometimes"}, InvalidCron),
        ({"cron": 5}, InvalidCron),
        ({"zone": "Europe/Berlim"}, UnknownZone),
        ({"zone": "../../etc/passwd"}, UnknownZone),
        ({"zone": None}, UnknownZone),
        ({"catch_up": "some"}, InvalidArgument),
        ({"name": ""}, InvalidArgument),
        ({"name": "a\nb"}, InvalidArgument),
        ({"name": "x" * 201}, InvalidArgument),
        ({"input": {"shop": 3}}, InvalidInput),
        ({"priority": 1.5}, InvalidInput),
        ({"config": {"nowhere": {}}}, InvalidInput),
    ],
)
async def test_what_is_wrong_is_refused(
    kernel: Kernel, flow: Flow[Any], options: dict[str, Any], error: type[Exception]
) -> None:
    """Typed, and nothing is scheduled."""
    given: dict[str, Any] = {"cron": EVERY_MINUTE, "input": Night("ada"), **options}

    with pytest.raises(error):
        await kernel.schedule(flow, **given)
    assert await kernel.schedules() == []


async def test_a_name_is_one_flows(world: Ports) -> None:
    """Another flow's schedule is not replaced by accident."""
    kernel = Kernel(flows=[report_flow(), report_flow(slug="other")], ports=world)
    await kernel.schedule("report", cron=EVERY_MINUTE, input=Night("ada"), name="nightly")

    with pytest.raises(ScheduleTaken, match="is one of flow 'report', not of 'other'; give another name, or remove"):
        await kernel.schedule("other", cron=EVERY_MINUTE, input=Night("ada"), name="nightly")


async def test_the_runs_of_a_schedule_are_found_by_its_annotations(
    world: Ports, kernel: Kernel, flow: Flow[Any], clock: ManualClock
) -> None:
    """A tick starts them, a trigger, or a host for a kernel that lacks the flow; other ones change the schedule."""

    async def define(**annotations: AnnotationValue) -> Schedule:
        return await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"), annotations=annotations)

    schedule = await define(customer="acme", tier=3)
    assert dict(schedule.record.annotations) == {"customer": "acme", "tier": 3}
    clock.advance(60)
    await Hands(kernel).fire()
    triggered = await schedule.trigger()
    elsewhere = await (await Kernel(flows=[], ports=world).find_schedule("report")).trigger()
    await Hands(kernel).fire()
    again = await define(tier=3, customer="acme")
    assert again.record.created_at < clock.now()
    clock.advance(1)
    changed = await define(customer="other")

    found = (await kernel.runs(RunFilter(annotations={"customer": "acme", "tier": 3}))).runs
    assert len(found) == 3
    assert {triggered.id, elsewhere.id} < {run.id for run in found}
    assert (dict(changed.record.annotations), changed.record.created_at) == ({"customer": "other"}, clock.now())
    with pytest.raises(InvalidInput, match="annotations"):
        await define(customer=float("nan"))


async def test_unknown_schedules_are_told_so(kernel: Kernel, flow: Flow[Any]) -> None:
    """With the nearest name."""
    nightly = await kernel.schedule(flow, cron=EVERY_MINUTE, input=Night("ada"), name="nightly")

    with pytest.raises(ScheduleNotFound, match="did you mean 'nightly'"):
        await kernel.find_schedule("nightli")
    assert await nightly.remove()
    with pytest.raises(ScheduleNotFound):
        await nightly.pause()
    assert not await nightly.remove()
