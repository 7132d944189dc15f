"""The operating system's clock, and run ids."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from freezegun import freeze_time

from fairlead.adapters import system
from fairlead.adapters.system import RunIds, SystemClock, new_run_id


def test_the_clock_shows_the_systems_time_in_utc() -> None:
    """Aware, and nothing else than the system says."""
    with freeze_time("2026-02-03 04:05:06"):
        now = SystemClock().now()

    assert now == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert now.utcoffset() == timedelta(0)


@pytest.mark.fault(43)
def test_a_system_clock_that_is_set_back_does_not_take_time_back() -> None:
    """The clock goes on at half speed until the system has caught up, and then with the system."""
    clock = SystemClock()
    with freeze_time("2026-02-03 12:00:00") as frozen:
        before = clock.now()
        frozen.move_to("2026-02-03 11:59:00")
        set_back = clock.now()
        frozen.tick(timedelta(seconds=20))
        slowed = clock.now()
        frozen.tick(timedelta(seconds=160))
        caught_up = clock.now()

    assert before == datetime(2026, 2, 3, 12, 0, 0, tzinfo=UTC)
    assert set_back == before
    assert slowed == before + timedelta(seconds=10)
    assert caught_up == datetime(2026, 2, 3, 12, 2, 0, tzinfo=UTC)


async def test_sleeping_takes_the_time_it_says() -> None:
    """On the same monotonic time that durations are measured with."""
    clock = SystemClock()
    before = clock.monotonic()

    await clock.sleep(0.01)
    await clock.synchronise()

    assert clock.monotonic() - before >= 0.009
    assert clock.uncertainty_s == 0


def test_ids_are_uuids_of_version_7() -> None:
    """In canonical text, with the time in front."""
    with freeze_time("2026-02-03 04:05:06"):
        text = RunIds()()
    identity = UUID(text)

    assert (identity.version, identity.variant, str(identity)) == (7, RFC_4122, text)
    assert identity.int >> 80 == int(datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp() * 1000)


def test_ids_of_one_millisecond_increase() -> None:
    """As text too; also where the time steps back."""
    ids = RunIds()
    with freeze_time("2026-02-03 04:05:06") as frozen:
        made = [ids() for _ in range(10_000)]
        frozen.move_to("2026-02-03 04:00:00")
        made += [ids() for _ in range(100)]
        frozen.move_to("2026-02-03 04:05:07")
        made.append(ids())

    assert made == sorted(set(made))


def test_a_millisecond_that_is_full_runs_over_into_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version and variant stay what they are, and order is kept."""
    monkeypatch.setattr(system, "_STEP_BITS", 73)
    ids = RunIds()
    with freeze_time("2026-02-03 04:05:06"):
        made = [UUID(ids()) for _ in range(100)]

    assert made == sorted(set(made))
    assert made[-1].int >> 80 > made[0].int >> 80
    assert {(identity.version, identity.variant) for identity in made} == {(7, RFC_4122)}


def test_threads_share_one_source_without_repeating_an_id() -> None:
    """The process's source is safe to call from anywhere."""
    made: list[list[str]] = [[] for _ in range(4)]

    def draw(mine: list[str]) -> None:
        mine.extend(new_run_id() for _ in range(2_000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(mine == sorted(mine) for mine in made)
    assert len({identity for mine in made for identity in mine}) == 8_000
