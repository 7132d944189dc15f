"""Scheduler: commands that are due at a time, claimed by one, acknowledged, forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fairlead.ports.scheduler import DueCommand, ScheduledCommand, Scheduler
from tests.support.records import at


def command(name: str = "tick", due: float = 10, *, payload: bytes = b'{"start":"orders"}') -> ScheduledCommand:
    """A command that is due some seconds after the beginning."""
    return ScheduledCommand(name=name, due_at=at(due), command=payload)


async def claim(
    scheduler: Scheduler, now: float, *, until: float | None = None, limit: int = 10
) -> Sequence[DueCommand]:
    """Claim what is due, for 30 seconds unless said otherwise."""
    return await scheduler.claim_due(now=at(now), until=at(now + 30 if until is None else until), limit=limit)


def names(claimed: Sequence[DueCommand]) -> list[str]:
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
    stale: list[DueCommand] = []
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


async def test_concurrent_claims_never_share_a_command(scheduler: Scheduler) -> None:
    """A tick that five hosts see is executed by one of them."""
    for number in range(20):
        await scheduler.schedule(command(f"tick-{number}", due=number))

    answers = await asyncio.gather(*(claim(scheduler, 100, limit=6) for _ in range(5)))

    taken = [name for answer in answers for name in names(answer)]
    rest = names(await claim(scheduler, 100, limit=100))
    assert len(taken) == len(set(taken))
    assert sorted(taken + rest) == sorted(f"tick-{number}" for number in range(20))


async def test_times_far_away_are_times(scheduler: Scheduler) -> None:
    """A command of the year 9999 waits; one of the past is due."""
    far = at(0).replace(year=9999)
    await scheduler.schedule(ScheduledCommand(name="far", due_at=far, command=b"1"))
    await scheduler.schedule(ScheduledCommand(name="past", due_at=at(0).replace(year=1971), command=b"2"))

    (past,) = await claim(scheduler, 0)
    await scheduler.ack(past)
    assert past.scheduled.name == "past"
    assert names(await scheduler.claim_due(now=far, until=far, limit=10)) == ["far"]
