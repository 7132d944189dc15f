"""Scheduler: commands that are due at a time, claimed by one, acknowledged or put back, listed, forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from fairlead.ports.errors import UnstorableValue
from fairlead.ports.scheduler import KeptCommand, ScheduledCommand, Scheduler
from tests.support.records import at


def command(name: str = "tick", due: float = 10, *, payload: bytes = b'{"start":"orders"}') -> ScheduledCommand:
    """A command that is due some seconds after the beginning."""
    return ScheduledCommand(name=name, due_at=at(due), command=payload)


async def claim(
    scheduler: Scheduler,
    now: float,
    *,
    until: float | None = None,
    limit: int = 10,
    flows: Sequence[str] = (),
) -> Sequence[KeptCommand]:
    """Claim what is due, for 30 seconds unless said otherwise."""
    until_at = at(now + 30 if until is None else until)
    return await scheduler.claim_due(flows=flows, now=at(now), until=until_at, limit=limit)


def names(claimed: Sequence[KeptCommand]) -> list[str]:
    """Which commands were claimed."""
    return [due.scheduled.name for due in claimed]


@pytest.mark.parametrize("payload", [b"null", b'{"b":1e22,"a":-0.0}', b'"\\u0000"', '"caf\u00e9 \U0001f680"'.encode()])
async def test_a_due_command_comes_back_byte_for_byte(scheduler: Scheduler, payload: bytes) -> None:
    """With its name, its time and how long it is claimed."""
    await scheduler.schedule(command(payload=payload))

    (due,) = await claim(scheduler, 10, until=25)

    assert due.scheduled == command(payload=payload)
    assert due.claimed_until == at(25)


async def test_nothing_is_claimed_before_it_is_due(scheduler: Scheduler) -> None:
    """`due_at` is inclusive, to the microsecond."""
    await scheduler.schedule(command(due=10))

    assert list(await claim(scheduler, 9.999999)) == []
    assert names(await claim(scheduler, 10)) == ["tick"]


async def test_an_empty_scheduler_claims_nothing(scheduler: Scheduler) -> None:
    """No commands, no claims."""
    assert list(await claim(scheduler, 1000)) == []


async def test_the_earliest_come_first(scheduler: Scheduler) -> None:
    """In the order of their times, at most `limit`."""
    for name, due in (("c", 1), ("a", 5), ("b", 3), ("d", 99)):
        await scheduler.schedule(command(name, due))

    assert names(await claim(scheduler, 10, limit=2)) == ["c", "b"]
    assert names(await claim(scheduler, 10, limit=0)) == []
    assert names(await claim(scheduler, 10)) == ["a"]


async def test_a_claimed_command_is_nobody_elses(scheduler: Scheduler) -> None:
    """Until its claim ends."""
    await scheduler.schedule(command())
    await claim(scheduler, 10, until=40)

    assert list(await claim(scheduler, 39)) == []


@pytest.mark.fault(70)
async def test_a_claim_that_was_not_acknowledged_is_given_to_another(scheduler: Scheduler) -> None:
    """After a crash the command is executed by somebody else; the first one's acknowledgement is stale."""
    await scheduler.schedule(command())
    (stale,) = await claim(scheduler, 10, until=40)

    (due,) = await claim(scheduler, 41, until=80)

    assert due.token != stale.token
    assert not await scheduler.ack(stale)
    assert list(await claim(scheduler, 79)) == []
    assert await scheduler.ack(due)


async def test_an_acknowledged_command_is_forgotten(scheduler: Scheduler) -> None:
    """Executed once: never claimed again, and a second acknowledgement is stale."""
    await scheduler.schedule(command())
    (due,) = await claim(scheduler, 10)

    assert await scheduler.ack(due)

    assert not await scheduler.ack(due)
    assert list(await claim(scheduler, 10_000)) == []
    assert not await scheduler.cancel("tick")


async def test_a_late_acknowledgement_counts_while_nobody_else_has_claimed(scheduler: Scheduler) -> None:
    """A claim is stale once another has taken its place, not by the passing of time alone."""
    await scheduler.schedule(command())
    (due,) = await claim(scheduler, 10, until=11)

    assert await scheduler.ack(due)
    assert list(await claim(scheduler, 10_000)) == []


async def test_scheduling_a_name_again_replaces_what_it_held(scheduler: Scheduler) -> None:
    """Earlier or later, with another command: one entry for each name."""
    await scheduler.schedule(command(due=10))
    await scheduler.schedule(command(due=20, payload=b"2"))

    assert list(await claim(scheduler, 15)) == []
    (due,) = await claim(scheduler, 20)
    assert due.scheduled == command(due=20, payload=b"2")


async def test_a_claim_on_a_replaced_command_is_stale(scheduler: Scheduler) -> None:
    """Who executed the old command does not take the new one away."""
    await scheduler.schedule(command(due=10))
    (stale,) = await claim(scheduler, 10, until=1000)
    await scheduler.schedule(command(due=20))

    assert not await scheduler.ack(stale)
    assert names(await claim(scheduler, 20)) == ["tick"]


async def test_the_same_command_scheduled_again_makes_a_claim_stale(scheduler: Scheduler) -> None:
    """Also where nothing differs: somebody asked for it after the claim."""
    await scheduler.schedule(command(due=10))
    (stale,) = await claim(scheduler, 10, until=1000)
    await scheduler.schedule(command(due=10))

    (due,) = await claim(scheduler, 10, until=1000)
    assert not await scheduler.ack(stale)
    assert await scheduler.ack(due)


async def test_a_token_is_not_reused_by_a_later_command(scheduler: Scheduler) -> None:
    """Acknowledged, cancelled and scheduled anew: an old claim stays stale for ever."""
    stale: list[KeptCommand] = []
    for _ in range(3):
        await scheduler.schedule(command())
        stale += await claim(scheduler, 10)
        await scheduler.cancel("tick")
    await scheduler.schedule(command())
    (due,) = await claim(scheduler, 10)

    assert [await scheduler.ack(old) for old in stale] == [False] * 3
    assert await scheduler.ack(due)


async def test_a_cancelled_command_is_forgotten(scheduler: Scheduler) -> None:
    """Before or during its claim; False where there is none."""
    await scheduler.schedule(command("waiting"))
    await scheduler.schedule(command("claimed"))
    await scheduler.schedule(command("other", due=50))
    claimed = {due.scheduled.name: due for due in await claim(scheduler, 10)}

    assert await scheduler.cancel("waiting")
    assert await scheduler.cancel("claimed")

    assert not await scheduler.cancel("waiting")
    assert not await scheduler.cancel("unknown")
    assert not await scheduler.ack(claimed["claimed"])
    assert names(await claim(scheduler, 10_000)) == ["other"]


@pytest.mark.fault(70)
async def test_concurrent_claims_never_share_a_command(scheduler: Scheduler) -> None:
    """A tick that five hosts see is executed by one of them."""
    for number in range(20):
        await scheduler.schedule(command(f"tick-{number}", due=number))

    answers = await asyncio.gather(*(claim(scheduler, 100, limit=6) for _ in range(5)))

    taken = [name for answer in answers for name in names(answer)]
    rest = names(await claim(scheduler, 100, limit=100))
    assert len(taken) == len(set(taken))
    assert sorted(taken + rest) == sorted(f"tick-{number}" for number in range(20))


@pytest.mark.fault(44)
async def test_times_far_away_are_times(scheduler: Scheduler) -> None:
    """A command of the year 9999 waits; one of the past is due."""
    far = at(0).replace(year=9999)
    await scheduler.schedule(ScheduledCommand(name="far", due_at=far, command=b"1"))
    await scheduler.schedule(ScheduledCommand(name="past", due_at=at(0).replace(year=1971), command=b"2"))

    (past,) = await claim(scheduler, 0)
    await scheduler.ack(past)
    assert past.scheduled.name == "past"
    assert names(await scheduler.claim_due(flows=(), now=far, until=far, limit=10)) == ["far"]


async def test_commands_of_a_flow_are_claimed_by_those_who_have_it(scheduler: Scheduler) -> None:
    """Others leave them alone; what needs no flow is anybody's."""
    for name, flow in (("a", "orders"), ("b", "reports"), ("c", None), ("d", "orders")):
        await scheduler.schedule(replace(command(name), flow=flow))

    assert sorted(names(await claim(scheduler, 10))) == ["c"]
    assert sorted(names(await claim(scheduler, 10, flows=["other"]))) == []
    claimed = await claim(scheduler, 10, flows=["orders", "other"])
    assert [(due.scheduled.name, due.scheduled.flow) for due in claimed] == [("a", "orders"), ("d", "orders")]
    assert names(await claim(scheduler, 10, flows=["reports"])) == ["b"]


async def test_a_command_without_a_time_waits(scheduler: Scheduler) -> None:
    """Until somebody gives it one."""
    await scheduler.schedule(replace(command(), due_at=None))

    assert list(await claim(scheduler, 10_000)) == []
    kept = await scheduler.read("tick")
    assert kept is not None
    assert kept.scheduled == replace(command(), due_at=None)
    assert await scheduler.put_back(kept, command(due=20))
    assert names(await claim(scheduler, 20)) == ["tick"]


async def test_a_claimed_command_is_put_back_for_another_time(scheduler: Scheduler) -> None:
    """With everything that is said of it, and free at once: the claim on it is over."""
    await scheduler.schedule(command(due=10))
    (due,) = await claim(scheduler, 10, until=1000)
    again = ScheduledCommand(
        name="tick", due_at=at(20), command=b'{"n":2}', flow="orders", failures=3, problem="no such thing: caf\u00e9"
    )

    assert await scheduler.put_back(due, again)

    kept = await scheduler.read("tick")
    assert kept is not None
    assert (kept.scheduled, kept.claimed_until) == (again, None)
    assert list(await claim(scheduler, 19, flows=["orders"])) == []
    (later,) = await claim(scheduler, 20, flows=["orders"])
    assert later.scheduled == again
    assert len({due.token, kept.token, later.token}) == 3


async def test_a_stale_command_is_not_put_back(scheduler: Scheduler) -> None:
    """Whoever claimed, replaced, put back or forgot it after it was seen was faster."""
    await scheduler.schedule(command())
    seen = await scheduler.read("tick")
    assert seen is not None
    (stale,) = await claim(scheduler, 10, until=11)
    (due,) = await claim(scheduler, 12)

    assert [await scheduler.put_back(old, command(due=99)) for old in (seen, stale)] == [False, False]
    assert [await scheduler.ack(old) for old in (seen, stale)] == [False, False]
    assert await scheduler.read("tick") == due
    assert await scheduler.put_back(due, command(due=30))
    assert not await scheduler.put_back(due, command(due=40))
    assert await scheduler.cancel("tick")
    assert not await scheduler.put_back(due, command(due=40))
    assert await scheduler.read("tick") is None


async def test_of_two_who_change_a_command_one_is_told_that_it_was_too_late(scheduler: Scheduler) -> None:
    """At once: one of them is in the store, the others know that they are not."""
    await scheduler.schedule(command())
    seen = await scheduler.read("tick")
    assert seen is not None

    changed = await asyncio.gather(*(scheduler.put_back(seen, command(due=20 + each)) for each in range(5)))

    kept = await scheduler.read("tick")
    assert kept is not None
    assert changed.count(True) == 1
    assert kept.scheduled.due_at == at(20 + changed.index(True))


async def test_a_command_that_was_seen_can_be_forgotten_without_a_claim(scheduler: Scheduler) -> None:
    """Unless it was claimed since."""
    await scheduler.schedule(command("free"))
    await scheduler.schedule(command("claimed"))
    free, claimed = await scheduler.read("free"), await scheduler.read("claimed")
    assert free is not None
    assert claimed is not None

    assert await scheduler.ack(free)
    await claim(scheduler, 10)

    assert not await scheduler.ack(claimed)
    assert await scheduler.read("free") is None


async def test_a_name_that_is_taken_is_not_replaced_where_that_is_not_wanted(scheduler: Scheduler) -> None:
    """Of many who schedule a name at once, one does."""
    answers = await asyncio.gather(
        *(scheduler.schedule(command(payload=b"%d" % each), replace=False) for each in range(5))
    )

    kept = await scheduler.read("tick")
    assert kept is not None
    assert answers.count(True) == 1
    assert kept.scheduled.command == b"%d" % answers.index(True)
    assert await scheduler.schedule(command(payload=b"6"))
    assert not await scheduler.schedule(command(payload=b"7"), replace=False)


async def test_commands_are_listed_by_the_beginning_of_their_names(scheduler: Scheduler) -> None:
    """In order, page by page, claimed ones too; what is special in a pattern is not special here."""
    for name in ("cron/b", "cron/a", "cron/a%", "cron/\u00e9", "cron/\U0001f680", "cron", "crow", "start/a", "cr%n/x"):
        await scheduler.schedule(command(name))
    await claim(scheduler, 10, limit=3)

    every = await scheduler.list("cron/", limit=100)
    assert names(every) == ["cron/a", "cron/a%", "cron/b", "cron/\u00e9", "cron/\U0001f680"]
    assert names(await scheduler.list("cron/", limit=2)) == ["cron/a", "cron/a%"]
    assert names(await scheduler.list("cron/", after="cron/a%", limit=2)) == ["cron/b", "cron/\u00e9"]
    assert names(await scheduler.list("cr%", limit=10)) == ["cr%n/x"]
    assert names(await scheduler.list("", limit=100)) == sorted(names(await scheduler.list("", limit=100)))
    assert len(await scheduler.list("", limit=100)) == 9
    assert [await scheduler.read(kept.scheduled.name) for kept in every] == list(every)


async def test_nothing_is_listed_or_read_that_is_not_there(scheduler: Scheduler) -> None:
    """An empty answer, no error."""
    assert list(await scheduler.list("cron/", limit=10)) == []
    assert await scheduler.read("tick") is None


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
async def test_text_that_no_database_holds_is_refused(scheduler: Scheduler, text: str) -> None:
    """In a name and in a problem; nothing is remembered."""
    with pytest.raises(UnstorableValue):
        await scheduler.schedule(command(text))
    with pytest.raises(UnstorableValue):
        await scheduler.schedule(replace(command(), problem=text))
    assert list(await scheduler.list("", limit=10)) == []


async def test_whoever_waited_longest_comes_first(scheduler: Scheduler) -> None:
    """A command whose claim ran out stands behind those that nobody has looked at yet."""
    await scheduler.schedule(command("lost", due=1))
    await claim(scheduler, 1, until=20)
    await scheduler.schedule(command("new", due=10))

    assert names(await claim(scheduler, 30, limit=1)) == ["new"]
    assert names(await claim(scheduler, 30, limit=1)) == ["lost"]
