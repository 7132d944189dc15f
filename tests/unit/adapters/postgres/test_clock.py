"""The clock follows the server's, never steps back, and knows how far off it may be."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.following import DRIFT
from fairlead.adapters.postgres import PostgresClock
from fairlead.adapters.postgres.database import Database
from fairlead.ports.errors import Unavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Server:
    """A server's clock beside a counter that only the test moves; each question takes its time both ways."""

    def __init__(self, there_s: float = 0.0, back_s: float = 0.0) -> None:
        self.count = 1000.0
        self.ahead_s = 0.0
        self.trips = [(there_s, back_s)]
        self.reachable = True

    @property
    def time(self) -> datetime:
        """What the server's clock shows."""
        return NOON + timedelta(seconds=self.count - 1000.0 + self.ahead_s)

    async def read(self, name: str) -> list[tuple[datetime]]:
        """Stands in for `Database.read`."""
        assert name == "server_time"
        if not self.reachable:
            raise Unavailable("gone")
        there_s, back_s = self.trips[0] if len(self.trips) == 1 else self.trips.pop(0)
        self.count += there_s
        answer = self.time
        self.count += back_s
        return [(answer,)]

    def clock(self) -> PostgresClock:
        """A clock that follows this server."""
        return PostgresClock(self, counter=lambda: self.count)  # type: ignore[arg-type]


def _off(clock: PostgresClock, server: Server) -> float:
    return abs((clock.now() - server.time).total_seconds())


@given(st.floats(0, 2), st.floats(0, 2))
async def test_the_error_is_within_the_uncertainty(there_s: float, back_s: float) -> None:
    """However lopsided a round trip is, its middle is off by half of it at most."""
    server = Server(there_s, back_s)
    clock = server.clock()
    await clock.synchronise()

    assert _off(clock, server) <= clock.uncertainty_s + 2e-6


async def test_the_shortest_round_trip_counts() -> None:
    """One undisturbed sample is enough."""
    server = Server()
    server.trips = [(0.5, 0.1), (0.001, 0.001), (0.2, 0.9), (0.7, 0.0), (0.0, 0.3)]
    clock = server.clock()
    await clock.synchronise()

    assert clock.uncertainty_s < 0.002
    assert _off(clock, server) < 0.002


async def test_time_passes_by_the_counter() -> None:
    """Between two measurements nobody's wall clock matters; the uncertainty grows."""
    server = Server(0.001, 0.001)
    clock = server.clock()
    await clock.synchronise()
    fresh = clock.uncertainty_s
    server.count += 3600

    assert _off(clock, server) < 0.0012
    assert clock.uncertainty_s == pytest.approx(fresh + 3600 * DRIFT, abs=1e-6)


@pytest.mark.fault(43)
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(0, 10)), min_size=1, max_size=8))
async def test_time_never_steps_back(steps: list[tuple[float, float]]) -> None:
    """Whatever the server's clock does."""
    server = Server(0.001, 0.001)
    clock = server.clock()
    shown = [clock.now()]
    for ahead_s, passed_s in steps:
        server.ahead_s = ahead_s
        await clock.synchronise()
        shown.append(clock.now())
        server.count += passed_s
        shown.append(clock.now())

    assert shown == sorted(shown)


@pytest.mark.fault(43)
async def test_a_clock_that_is_ahead_waits_for_the_server() -> None:
    """It goes on at half speed, says by how much it is off, and arrives."""
    server = Server()
    clock = server.clock()
    await clock.synchronise()
    before = clock.now()
    server.ahead_s = -10.0
    await clock.synchronise()
    at_once, uncertain_s = clock.now(), clock.uncertainty_s
    server.count += 4
    slowly = clock.now()
    for _ in range(20):
        server.count += 1
        clock.now()

    assert (at_once, slowly) == (before, before + timedelta(seconds=2))
    assert uncertain_s == pytest.approx(10.0, abs=0.01)
    assert _off(clock, server) == 0
    assert clock.uncertainty_s < 0.01


async def test_before_it_is_synchronised_anything_is_possible() -> None:
    """It shows this machine's time, and claims nothing."""
    clock = Server().clock()

    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60
    assert clock.uncertainty_s == math.inf


async def test_an_unreachable_server_changes_nothing() -> None:
    """The clock goes on by what it knows."""
    server = Server(0.001, 0.001)
    clock = server.clock()
    await clock.synchronise()
    uncertain_s = clock.uncertainty_s
    server.reachable = False
    with pytest.raises(Unavailable):
        await clock.synchronise()

    assert clock.uncertainty_s == uncertain_s
    assert _off(clock, server) < 0.0012


async def test_it_shows_the_real_servers_time(
    database: Database, observer: psycopg.Connection[tuple[object, ...]]
) -> None:
    """Asked from elsewhere, before and after."""
    clock = PostgresClock(database)
    await clock.synchronise()
    before = observer.execute("SELECT clock_timestamp()").fetchall()[0][0]
    shown = clock.now()
    after = observer.execute("SELECT clock_timestamp()").fetchall()[0][0]
    assert isinstance(before, datetime)
    assert isinstance(after, datetime)
    margin = timedelta(seconds=clock.uncertainty_s)

    assert before - margin <= shown <= after + margin
    assert clock.uncertainty_s < 1
