"""Wake-ups between processes: what one announces the others hear, and nothing depends on it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AsyncExitStack
from typing import TypeAlias

import psycopg
import pytest

from fairlead.adapters.postgres import PostgresTransport, listening, postgres_ports
from fairlead.adapters.postgres.notifying import channel_of
from fairlead.ports.records import TaskKey
from fairlead.ports.transport import Job
from tests.support.waiting import until

RUN = "0197f000-0000-7000-8000-000000000001"
LONG_S = 60.0
"""Longer than a test may take: whoever wakes earlier was woken."""

Observer = psycopg.Connection[tuple[object, ...]]
Opening = Callable[..., PostgresTransport]


def job(queue: str) -> Job:
    """A queued task of a queue."""
    return Job(run_id=RUN, queue=queue, task=TaskKey(RUN, "pack", 1, 0))


PENDING = Job(run_id=RUN, queue="")


@pytest.fixture
async def opening(url: str) -> AsyncGenerator[Opening]:
    """Opens transports on one database, as several processes would."""
    async with AsyncExitStack() as stack:

        def open_one(schema: str = "fairlead", **options: object) -> PostgresTransport:
            ports = postgres_ports(url, schema=schema, **options)  # type: ignore[arg-type]
            stack.push_async_callback(ports.aclose)
            assert isinstance(ports.transport, PostgresTransport)
            return ports.transport

        yield open_one


Heard: TypeAlias = Collection[str | None]


async def listening_to(transport: PostgresTransport, *queues: str) -> asyncio.Task[Heard]:
    """Somebody who waits there for a long time, and tells what was heard; nothing if the time was over."""

    async def wait() -> Heard:
        return await transport.listen(queues=queues, wait_s=LONG_S)

    await transport.listen(queues=queues, wait_s=0)
    assert transport.listener is not None
    await asyncio.wait_for(transport.listener.listening.wait(), 10)
    await transport.listen(queues=queues, wait_s=0)
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize(("announced", "named"), [(job("mail"), "mail"), (PENDING, None)], ids=["task", "run"])
async def test_another_process_is_woken(opening: Opening, announced: Job, named: str | None) -> None:
    """By a task of its queue, and by any pending run; and it hears which it was."""
    waiting = await listening_to(opening(), "mail", "default")
    await opening().enqueue([announced])

    assert set(await asyncio.wait_for(waiting, 10)) == {named}


async def test_other_queues_are_left_asleep(opening: Opening, observer: Observer) -> None:
    """Whoever does not serve a queue does not wake for it."""
    waiting = await listening_to(opening(), "mail")
    heard = _heard(observer)
    await opening().enqueue([job("default")])
    await until(lambda: heard())
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    waiting.cancel()

    assert done == set()


async def test_other_schemas_are_left_asleep(opening: Opening, observer: Observer) -> None:
    """Two installations in one database do not wake each other."""
    waiting = await listening_to(opening(), "mail")
    observer.execute("SELECT pg_notify(%s, '')", [channel_of("elsewhere")])
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    waiting.cancel()

    assert done == set()
    assert channel_of("fairlead") != channel_of("elsewhere")
    assert len({channel_of("x" * 62 + "a"), channel_of("x" * 62 + "b")}) == 2


@pytest.mark.fault(32)
async def test_many_announcements_are_few_notifications(opening: Opening, observer: Observer) -> None:
    """A notification takes a lock of the whole instance, so a busy host sends few."""
    heard = _heard(observer)
    transport = opening()
    for number in range(200):
        await transport.enqueue([job(f"queue-{number % 7}"), PENDING])
    await transport.aclose()
    payloads = heard()

    assert 1 <= len(payloads) <= 3
    assert {queue for payload in payloads for queue in json.loads(payload)[1:]} == {
        None,
        *(f"queue-{number}" for number in range(7)),
    }


async def test_too_much_to_name_wakes_everybody(opening: Opening) -> None:
    """A payload has its limit; beyond it nobody is named."""
    waiting = await listening_to(opening(), "mail")
    await opening().enqueue([job(f"{number}-" + "q" * 100) for number in range(100)])

    assert set(await asyncio.wait_for(waiting, 10)) == {None, "mail"}


@pytest.mark.parametrize("payload", ["", "nonsense", "7", "[]", "{}"])
async def test_what_cannot_be_read_wakes_everybody(opening: Opening, observer: Observer, payload: str) -> None:
    """Another version may write otherwise; waking in vain is harmless."""
    waiting = await listening_to(opening(), "mail")
    observer.execute("SELECT pg_notify(%s, %s)", [channel_of("fairlead"), payload])

    assert set(await asyncio.wait_for(waiting, 10)) == {None, "mail"}


@pytest.mark.fault(32)
async def test_what_may_have_been_missed_is_not_narrowed_by_what_was_heard(opening: Opening) -> None:
    """Somebody who was told of one queue, and has not gone on yet, looks everywhere with the next wait."""
    transport = opening()
    waiting = await listening_to(transport, "mail")
    await transport.enqueue([job("mail")])
    transport._hear(None)  # pyright: ignore[reportPrivateUsage]

    assert set(await waiting) == {"mail"}
    assert set(await transport.listen(queues=["mail"], wait_s=LONG_S)) == {None, "mail"}
    assert not await transport.listen(queues=["mail"], wait_s=0)


@pytest.mark.fault(32)
async def test_listening_survives_the_loss_of_its_connection(
    opening: Opening, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits meanwhile is woken, since something may have been missed; later announcements are heard again."""
    monkeypatch.setattr(listening, "RECONNECT_S_MIN", 0.0)
    transport = opening()
    waiting = await listening_to(transport, "mail")
    observer.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    missed = await asyncio.wait_for(waiting, 10)
    waiting = await listening_to(transport, "mail")
    await opening().enqueue([job("mail")])

    assert set(missed) == {None, "mail"}
    assert set(await asyncio.wait_for(waiting, 10)) == {"mail"}


async def test_without_listening_a_process_still_wakes_itself(opening: Opening, observer: Observer) -> None:
    """And opens no connection for it."""
    transport = opening(listen=False)
    waiting = asyncio.create_task(transport.listen(queues=["mail"], wait_s=LONG_S))
    await asyncio.sleep(0)
    await transport.enqueue([job("mail")])
    await asyncio.wait_for(waiting, 10)

    assert transport.listener is None
    assert not observer.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    ).fetchall()


@pytest.mark.fault(33)
async def test_listening_may_have_its_own_url(opening: Opening, url: str, observer: Observer) -> None:
    """A pooler in transaction mode passes no LISTEN."""
    transport = opening(listen_url=f"{url}?application_name=listener")
    waiting = await listening_to(transport, "mail")
    found = observer.execute(
        "SELECT query FROM pg_stat_activity WHERE application_name = 'listener' AND datname = current_database()"
    ).fetchall()
    await transport.aclose()
    await waiting

    assert found == [('LISTEN "fairlead"',)]


@pytest.mark.fault(32)
async def test_an_unreachable_listener_costs_only_latency(opening: Opening) -> None:
    """Waiting ends when its time is over; closing does not hang."""
    transport = opening(listen_url="postgresql://127.0.0.1:1/nothing")
    started = time.monotonic()
    for _ in range(3):
        await transport.listen(queues=["mail"], wait_s=0.01)
    await transport.aclose()

    assert 0.03 <= time.monotonic() - started < 10


async def test_an_announcement_that_cannot_be_sent_is_dropped() -> None:
    """`enqueue` is best effort: it raises nothing, and closing does not wait for the impossible."""
    ports = postgres_ports("postgresql://127.0.0.1:1/nothing")
    await ports.transport.enqueue([PENDING])
    await asyncio.wait_for(ports.aclose(), 10)


async def test_what_is_unsent_is_sent_before_closing(opening: Opening, observer: Observer) -> None:
    """A process that announces and ends is heard."""
    heard = _heard(observer)
    transport = opening()
    await transport.enqueue([PENDING])
    await transport.aclose()

    assert len(heard()) == 1


def _heard(observer: Observer) -> Callable[[], list[str]]:
    """What has been announced on the channel since this call."""
    observer.execute('LISTEN "fairlead"')
    payloads: list[str] = []
    observer.add_notify_handler(lambda notification: payloads.append(notification.payload))

    def read() -> list[str]:
        observer.execute("SELECT 1")
        return payloads

    return read
