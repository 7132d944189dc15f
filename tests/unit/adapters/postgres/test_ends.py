"""Hearing of the ends of runs: what one process tells the others hear, and who hears nothing knows it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from fairlead.adapters.postgres import ends, listening, postgres_ports
from fairlead.adapters.postgres.notifying import channel_of
from fairlead.ports.transport import JobTransport, RunWatch
from tests.support.waiting import until

RUN, ANOTHER = "0197f000-0000-7000-8000-000000000001", "0197f000-0000-7000-8000-000000000002"
LONG_S = 60.0
"""Longer than a test may take: whoever wakes earlier was woken."""

LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%:ended%%'"

Observer = psycopg.Connection[tuple[object, ...]]
Opening = Callable[..., JobTransport]


@pytest.fixture
async def opening(url: str) -> AsyncGenerator[Opening]:
    """Opens transports on one database, as several processes would."""
    async with AsyncExitStack() as stack:

        def open_one(**options: object) -> JobTransport:
            ports = postgres_ports(url, **options)  # type: ignore[arg-type]
            stack.push_async_callback(ports.aclose)
            return ports.transport

        yield open_one


async def _waited_s(watch: RunWatch, wait_s: float = LONG_S) -> float:
    started = time.monotonic()
    await asyncio.wait_for(watch.wait(wait_s), 10)
    return time.monotonic() - started


async def _hearing(watch: RunWatch | None) -> RunWatch:
    """A watch that hears, and has been woken by beginning to."""
    assert watch is not None
    await until(lambda: watch.hears)
    await watch.wait(0.001)
    return watch


@pytest.mark.parametrize("own", [False, True], ids=["of another process", "of its own"])
async def test_an_end_is_heard(opening: Opening, own: bool) -> None:
    """By whoever waits for that run, also where it was told just before the wait."""
    waiting = opening()
    with waiting.watch(RUN) as first:
        watch = await _hearing(first)
        teller = waiting if own else opening()
        asleep = asyncio.create_task(_waited_s(watch))
        await asyncio.sleep(0.01)
        await teller.tell_ended([ANOTHER, RUN])

        assert await asleep < LONG_S


async def test_ends_of_other_runs_wake_nobody(opening: Opening) -> None:
    """Whoever waits for another run sleeps on."""
    waiting = opening()
    with waiting.watch(RUN) as first:
        watch = await _hearing(first)
        await opening().tell_ended([ANOTHER])
        await waiting.tell_ended([ANOTHER])

        assert await _waited_s(watch, 0.2) >= 0.2


async def test_too_many_ends_to_name_wake_everybody(opening: Opening) -> None:
    """A payload has its limit; beyond it nobody is named."""
    with opening().watch(RUN) as first:
        watch = await _hearing(first)
        await opening().tell_ended([f"{number:036x}" for number in range(2_000)])

        assert await _waited_s(watch) < LONG_S


async def test_a_process_that_hears_nothing_knows_it(opening: Opening, url: str, observer: Observer) -> None:
    """As behind a transaction pooler, or where somebody gave the URL of another database: LISTEN itself succeeds."""
    elsewhere = urlunsplit(urlsplit(url)._replace(path="/postgres"))
    with opening(listen_url=elsewhere).watch(RUN) as watch:
        assert watch is not None
        await until(lambda: observer.execute(LISTENING, ["postgres"]).fetchone() == (1,))
        await asyncio.sleep(0.2)

        assert not watch.hears


@pytest.mark.fault(33)
@pytest.mark.parametrize("pause_s", [0.0, LONG_S], ids=["the pause is over", "within the pause"])
async def test_where_nothing_is_heard_the_proof_is_told_seldom(
    opening: Opening, url: str, observer: Observer, monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    """It is repeated for whoever begins to wait, since it may have been lost; but not for each."""
    monkeypatch.setattr(ends, "PROOF_PAUSE_S", pause_s)
    payloads = _payloads(observer)
    transport = opening(listen_url=urlunsplit(urlsplit(url)._replace(path="/postgres")))
    with transport.watch(RUN):
        await until(payloads)
    for number in range(2, 5):
        with transport.watch(RUN):
            await transport.tell_ended([f"{number:036x}"])
            await until(lambda told=number: len(payloads()) >= told)  # type: ignore[misc]

    assert [ends.PROOF in json.loads(payload) for payload in payloads()] == [True] + 3 * [pause_s == 0.0]


async def test_a_process_that_does_not_listen_cannot_watch(opening: Opening, observer: Observer) -> None:
    """It looks for itself, and opens no connection."""
    with opening(listen=False).watch(RUN) as watch:
        await asyncio.sleep(0.1)

        assert watch is None
        assert observer.execute(LISTENING, [observer.info.dbname]).fetchone() == (0,)


@pytest.mark.fault(32)
async def test_the_loss_of_the_connection_wakes_everybody(
    opening: Opening, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end may have been missed; those that come later are heard again."""
    monkeypatch.setattr(listening, "RECONNECT_S_MIN", 0.0)
    with opening().watch(RUN) as first:
        watch = await _hearing(first)
        observer.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        missed_s = await _waited_s(watch)
        watch = await _hearing(watch)
        await opening().tell_ended([RUN])

        assert missed_s < LONG_S
        assert await _waited_s(watch) < LONG_S


async def test_many_ends_are_few_notifications(opening: Opening, observer: Observer) -> None:
    """A notification takes a lock of the whole instance, so a busy host sends few."""
    payloads = _payloads(observer)
    transport = opening()
    for number in range(200):
        await transport.tell_ended([f"{number:036x}"])
        await asyncio.sleep(0)
    await transport.aclose()

    assert 1 <= len(payloads()) <= 3


def _payloads(observer: Observer) -> Callable[[], list[str]]:
    """Listens to the ends of runs beside the adapter, and gives all that was heard until now."""
    payloads: list[str] = []
    observer.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel_of("fairlead", "ended"))))
    observer.add_notify_handler(lambda notification: payloads.append(notification.payload))

    def heard() -> list[str]:
        observer.execute("SELECT 1")
        return payloads

    return heard


async def test_closing_while_the_listener_connects_leaves_nothing(url: str, observer: Observer) -> None:
    """At whatever moment it comes."""
    for number in range(12):
        ports = postgres_ports(url)
        await ports.persistence.read_run(RUN)
        with ports.transport.watch(RUN):
            await asyncio.sleep(0.001 * number)
            await ports.transport.tell_ended([ANOTHER])
        await ports.aclose()

        assert asyncio.all_tasks() == {asyncio.current_task()}
    mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await until(lambda: observer.execute(mine).fetchone() == (0,))


@pytest.mark.fault(77)
def test_ends_are_heard_after_a_loop_was_closed_over_a_waiter(url: str) -> None:
    """Whoever waited there is told nothing any more, and stands in nobody's way."""
    ports = postgres_ports(url)
    left: list[object] = []

    async def wait_and_leave() -> None:
        watching = ports.transport.watch(RUN)
        watch = watching.__enter__()
        left.append(watching)
        watch = await _hearing(watch)
        left.append(asyncio.ensure_future(watch.wait(LONG_S)))
        await asyncio.sleep(0)

    async def tell_and_hear() -> None:
        await ports.transport.tell_ended([RUN])
        with ports.transport.watch(RUN) as first:
            watch = await _hearing(first)
            await ports.transport.tell_ended([RUN])
            assert await _waited_s(watch) < LONG_S
        await ports.aclose()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(wait_and_leave())
    loop.close()
    asyncio.run(tell_and_hear())
