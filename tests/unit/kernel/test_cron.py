"""Cron: when a schedule ticks, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.kernel.cron import CRON_LENGTH_MAX, NAMED, Cron
from fairlead.kernel.errors import InvalidCron, UnknownZone

MINUTE = timedelta(minutes=1)


def ticks(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The first ticks after a local time, as local times with their offsets."""
    cron = Cron(expression, zone)
    moment = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found: list[str] = []
    for _ in range(count):
        tick = cron.after(moment)
        assert tick is not None
        assert tick > moment
        moment = tick
        found.append(f"{tick.astimezone(ZoneInfo(zone)):%m-%d %H:%M:%S%z}")
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 * * * *", ["01-31 23:40", "02-01 00:00", "02-01 00:20"]),
        ("30 4 * * *", ["02-01 04:30", "02-02 04:30", "02-03 04:30"]),
        ("0 9 * * MON-FRI", ["02-02 09:00", "02-03 09:00", "02-04 09:00"]),
        ("0 0 1,15 * *", ["02-01 00:00", "02-15 00:00", "03-01 00:00"]),
        ("0 0 L * *", ["02-28 00:00", "03-31 00:00", "04-30 00:00"]),
        ("0 0 * * FRI#2", ["02-13 00:00", "03-13 00:00", "04-10 00:00"]),
        ("@daily", ["02-01 00:00", "02-02 00:00", "02-03 00:00"]),
        ("@Hourly", ["02-01 00:00", "02-01 01:00", "02-01 02:00"]),
        ("@weekly", ["02-01 00:00", "02-08 00:00", "02-15 00:00"]),
        ("@monthly", ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
        ("  5   4 * * * ", ["02-01 04:05", "02-02 04:05", "02-03 04:05"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ],
)
def test_expressions_are_those_of_every_cron(expression: str, expected: list[str]) -> None:
    """Lists, ranges, steps, names, the last day of a month, the second Friday."""
    assert [tick[:11] for tick in ticks(expression, "UTC", "2026-01-31T23:30", 3)] == expected


def test_seconds_stand_before_the_minutes() -> None:
    """Six fields; what has microseconds is between two seconds."""
    assert ticks("*/30 * * * * *", "UTC", "2026-01-01T00:00:59.999999", 2) == [
        "01-01 00:01:00+0000",
        "01-01 00:01:30+0000",
    ]


@pytest.mark.parametrize("name", NAMED)
def test_every_name_has_a_meaning(name: str) -> None:
    """And ticks."""
    assert Cron(name).after(datetime(2026, 1, 1, tzinfo=UTC)) is not None


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["10-25 02:30:00+0200", "10-26 02:30:00+0100"]),
        ("15,45 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", ["03-29 03:00:00+0200", "03-29 03:15:00+0200"]),
        ("*/20 30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", ["04-24 01:00:00+0300", "04-25 00:00:00+0300"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["10-04 02:30:00+1100", "10-05 02:15:00+1100"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T13:00", ["12-31 00:00:00+1400", "12-31 12:00:00+1400"]),
    ],
)
def test_fixed_times_come_once_a_day(expression: str, zone: str, after: str, expected: list[str]) -> None:
    """What is left out comes as soon as the gap is over; of what is there twice, the first counts."""
    assert ticks(expression, zone, after, 2) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:15", ["03-29 01:30:00+0100", "03-29 03:00:00+0200"]),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T02:15",
            ["10-25 02:30:00+0200", "10-25 02:00:00+0100", "10-25 02:30:00+0100", "10-25 03:00:00+0100"],
        ),
        (
            "0 */2 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T23:00",
            ["04-05 00:00:00+1100", "04-05 02:00:00+1030", "04-05 04:00:00+1030"],
        ),
        ("0 * * * *", "Africa/Cairo", "2026-04-23T22:30", ["04-23 23:00:00+0200", "04-24 01:00:00+0300"]),
    ],
)
def test_what_repeats_goes_by_the_clock(expression: str, zone: str, after: str, expected: list[str]) -> None:
    """An hour that was not has no ticks, one that comes twice has them twice."""
    assert ticks(expression, zone, after, len(expected)) == expected


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]
)
DAYS = st.sampled_from(
    ["2026-03-07", "2026-03-28", "2026-04-04", "2026-04-23", "2026-10-03", "2026-10-24", "2026-10-29", "2026-10-31"]
)
MINUTES = st.sampled_from(["*", "*/7", "0", "30", "5,35", "10-20"])
HOURS = st.sampled_from(["*", "*/2", "*/3", "2", "0,2", "1-3", "0"])


@settings(max_examples=40, deadline=None)
@given(minutes=MINUTES, hours=HOURS, zone=ZONES, day=DAYS)
def test_ticks_are_the_moments_whose_local_time_matches(minutes: str, hours: str, zone: str, day: str) -> None:
    """Minute by minute through days on which clocks are changed: none is missed, none is too many.

    Of fixed times, a local time that comes again does not count, and one that is left out counts when it is over.
    """
    fixed = not (minutes.startswith("*") or hours.startswith("*"))
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    local = begin.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    matching = set(_until(f"{minutes} {hours} * * *", local - MINUTE, local + timedelta(days=3)))
    expected: list[datetime] = []
    seen = {local}
    before = local
    for number in range(1, 2 * 24 * 60):
        moment = begin + number * MINUTE
        now = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        skipped = [before + step * MINUTE for step in range(1, int((now - before) / MINUTE))]
        if fixed:
            hit = (now in matching and now not in seen) or any(each in matching for each in skipped)
        else:
            hit = now in matching
        seen.add(now)
        before = now
        if hit:
            expected.append(moment)

    end = begin + (2 * 24 * 60 - 1) * MINUTE
    assert list(Cron(f"{minutes} {hours} * * *", zone).between(begin, end)) == expected


def _until(expression: str, after: datetime, until: datetime) -> list[datetime]:
    """What matches in local time, as if no clock were ever changed."""
    found: list[datetime] = []
    for each in CronSim(expression, after):
        if each > until:
            break
        found.append(each)
    return found


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 50), seconds=st.integers(0, 100_000), minutes=MINUTES)
def test_the_latest_are_the_last_of_all(count: int, seconds: int, minutes: str) -> None:
    """However far back they are looked for."""
    cron = Cron(f"{minutes} * * * *", "Europe/Berlin")
    until = datetime(2026, 10, 25, 3, tzinfo=UTC)
    after = until - timedelta(seconds=seconds)
    every = list(cron.between(after, until))

    assert cron.latest(after, until, count) == (every[-count:] if count else [])


def test_looking_for_the_latest_costs_no_more_after_years() -> None:
    """A schedule of every second that nobody fired for ten years."""
    cron = Cron("* * * * * *", "Europe/Berlin")
    until = datetime(2026, 1, 1, tzinfo=UTC)

    assert cron.latest(until - timedelta(days=3650), until, 2) == [until - timedelta(seconds=1), until]


def test_the_calendar_ends() -> None:
    """In the year 9999 there are no further ticks."""
    assert Cron("0 0 1 1 *").after(datetime(9999, 6, 1, tzinfo=UTC)) is None
    assert Cron("0 * 1 1 *", "Europe/Berlin").after(datetime(9999, 6, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("61 * * * *", "bad minute"),
        ("* 25 * * *", "bad hour"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("* * * *", "it has 4 fields"),
        ("* * * * * * *", "it has 7 fields"),
        ("", "it has 0 fields"),
        ("@reboot", "of names there are"),
        ("* " * CRON_LENGTH_MAX, "expected text of up to 200 characters"),
        (None, "expected text"),
    ],
)
def test_what_is_no_expression_is_refused(expression: object, problem: str) -> None:
    """Saying what is wrong with it."""
    with pytest.raises(InvalidCron, match=problem):
        Cron(expression)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berlim", "did you mean 'Europe/Berlin'"),
        ("", "expected an IANA name"),
        ("../etc", "expected"),
        (5, "no time zone"),
        ("a\0b", "no time zone"),
    ],
)
def test_what_is_no_zone_is_refused(zone: object, hint: str) -> None:
    """With the nearest name."""
    with pytest.raises(UnknownZone, match=hint):
        Cron("@daily", zone)  # type: ignore[arg-type]
