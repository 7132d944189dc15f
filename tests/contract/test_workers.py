"""Workers: hosts say that they are there, and are forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from fairlead.ports.persistence import Persistence
from fairlead.ports.workers import HostKind, ServedFlow, WorkerRecord
from tests.support.records import at


def worker(name: str = "one", *, started: float = 0, seen: float = 0, **named: Any) -> WorkerRecord:
    """A host as it announces itself."""
    record = WorkerRecord(
        worker=name,
        kind=HostKind.NODE,
        host="stevedore",
        pid=4711,
        flows=(ServedFlow("orders", "1"), ServedFlow("orders", "2"), ServedFlow("mail", "dev")),
        queues=("default", "mail"),
        slots=50,
        started_at=at(started),
        seen_at=at(seen),
    )
    return replace(record, **named)


async def announce(store: Persistence, record: WorkerRecord, *, forget_before: float = -1) -> None:
    """Announce a worker."""
    await store.announce_worker(record, forget_before=at(forget_before))


async def test_nobody_is_known_at_first(store: Persistence) -> None:
    """An empty store has no workers."""
    assert list(await store.read_workers()) == []


async def test_a_worker_is_read_as_it_was_announced(store: Persistence) -> None:
    """All that it said, in its order; a host may serve nothing at all."""
    served = worker("caf\u00e9 7", kind=HostKind.SERVERLESS)
    nothing = worker("nothing", flows=(), queues=(), ended_at=at(3))
    await announce(store, served)
    await announce(store, nothing)

    assert list(await store.read_workers()) == [served, nothing]


async def test_a_worker_tells_its_sinks_or_nothing_of_them(store: Persistence) -> None:
    """None at all is something else than not to say."""
    told = [worker("a", sinks=("mail", "audit.log")), worker("b", sinks=()), worker("c", sinks=None)]
    for each in told:
        await announce(store, each)
    await announce(store, told[0])

    assert list(await store.read_workers()) == told


async def test_an_announcement_takes_the_place_of_the_one_before(store: Persistence) -> None:
    """One row for each worker id."""
    await announce(store, worker(seen=0))
    latest = worker(seen=30, slots=10, queues=("mail",), flows=())
    await announce(store, latest)

    assert list(await store.read_workers()) == [latest]


async def test_workers_are_read_by_id(store: Persistence) -> None:
    """Sorted by bytes, whoever came first."""
    for name in ("b", "B", "a", "\u00e4"):
        await announce(store, worker(name))

    assert [each.worker for each in await store.read_workers()] == ["B", "a", "b", "\u00e4"]


async def test_a_later_process_takes_a_worker_id_over(store: Persistence) -> None:
    """What the earlier one says afterwards, its goodbye included, changes nothing."""
    await announce(store, worker(started=0, seen=0))
    later = worker(started=10, seen=10, pid=4712)
    await announce(store, later)
    await announce(store, worker(started=0, seen=20, ended_at=at(20)))

    assert list(await store.read_workers()) == [later]


async def test_the_last_word_of_a_process_counts(store: Persistence) -> None:
    """An announcement that comes after the goodbye that it was made before."""
    goodbye = worker(seen=40, ended_at=at(40))
    await announce(store, goodbye)
    await announce(store, worker(seen=30))

    assert list(await store.read_workers()) == [goodbye]


async def test_workers_that_were_not_seen_for_long_are_forgotten(store: Persistence) -> None:
    """With the announcement of any other, ended or not; a time itself is not before it."""
    await announce(store, worker("old", seen=9))
    await announce(store, worker("ended", seen=5, ended_at=at(5)))
    await announce(store, worker("just", seen=10))
    await announce(store, worker("new", seen=100), forget_before=10)

    assert [each.worker for each in await store.read_workers()] == ["just", "new"]


async def test_a_worker_is_not_forgotten_by_its_own_announcement(store: Persistence) -> None:
    """However long ago it was seen."""
    await announce(store, worker(seen=0))
    await announce(store, worker(seen=1), forget_before=50)

    assert list(await store.read_workers()) == [worker(seen=1)]


async def test_many_announce_themselves_at_once(store: Persistence) -> None:
    """Each forgets the same ones, and none gets into another's way."""
    for number in range(5):
        await announce(store, worker(f"old-{number}"))
    await asyncio.gather(
        *(announce(store, worker(f"new-{number}", seen=100), forget_before=50) for number in range(10))
    )

    assert {each.worker for each in await store.read_workers()} == {f"new-{number}" for number in range(10)}
