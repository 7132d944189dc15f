"""Cron expressions: at which moments a schedule ticks, in the local time of its zone.

This is the only module that knows of zones and of cron; everybody else has moments in UTC.

The rules
---------
- Five fields (minute, hour, day of month, month, day of week), or six with seconds before them, or a name such as
  `@daily`. Both day fields restricted: either may match, as in every cron. `L` and `#` are understood.
- A day on which clocks are put **forward** leaves out an hour or so of local time. A schedule for fixed times (neither
  its minutes nor its hours begin with `*`) that falls into it ticks as soon as it is over: `30 2 * * *` at 03:00. One
  that repeats by the clock (`*/15 * * * *`) has nothing to tick at in an hour that was not.
- A day on which clocks are put **back** has an hour twice. A schedule for fixed times ticks in the first one only, so
  that what is daily happens once a day; one that repeats by the clock goes on through both.

How it is computed
------------------
Fixed times are looked for in local time, which is then placed in UTC. What repeats is looked for in UTC plus the
zone's offset, which is constant between two of its changes; where a change comes first, the search begins anew there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .errors import InvalidCron, UnknownZone
from .hints import closest

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

CRON_LENGTH_MAX = 200
"""Characters of a cron expression: more than any that a person can read."""

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Expressions that have a name."""

_OFFSET_LASTS = timedelta(days=7)
"""No zone changes its offset twice within so short a time."""

_SECOND = timedelta(seconds=1)


class Cron:
    """When a schedule ticks.

    Args:
        expression: five or six fields, or a name.
        zone: the IANA name of a time zone.

    Raises:
        InvalidCron: the expression is none, or never ticks.
        UnknownZone: there is no such zone.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        self.expression = expression
        self.zone = zone
        self._fields = _fields(expression)
        self._zone = _zone(zone)
        minutes, hours = self._fields.split()[1:3]
        self._fixed = not (minutes.startswith("*") or hours.startswith("*"))
        from cronsim import CronSim, CronSimError  # Who has no schedule does not pay for it, nor for time zones.

        try:
            CronSim(self._fields, datetime(2000, 1, 1))
        except CronSimError as error:
            raise InvalidCron(expression, _lowered(str(error))) from None

    def after(self, moment: datetime) -> datetime | None:
        """The first tick after `moment`, in UTC; None where there is none within fifty years."""
        found = self._fixed_after(moment) if self._fixed else self._repeating_after(moment)
        return None if found is None else found.astimezone(UTC)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The ticks after one moment, up to and including another, earliest first."""
        tick = self.after(after)
        while tick is not None and tick <= until:
            yield tick
            tick = self.after(tick)

    def latest(self, after: datetime, until: datetime, count: int) -> list[datetime]:
        """The last `count` ticks after one moment, up to and including another, earliest first.

        It looks at the last second, then at more and more before it, so it costs no more where `after` is long ago.
        """
        window = _SECOND
        while True:
            begin = until - window if until - after > window else after
            found = list(self.between(begin, until))
            if len(found) >= count or begin == after:
                return found[-count:] if count else []
            window *= 4

    def _fixed_after(self, moment: datetime) -> datetime | None:
        """The first local time after that of `moment` which matches, and which comes after it in UTC too."""
        for local in self._matches_after(moment.astimezone(self._zone).replace(tzinfo=None)):
            placed = self._placed(local)
            if placed > moment:
                return placed
        return None

    def _placed(self, local: datetime) -> datetime:
        """A local time as a moment: the first of two; where it was left out, the end of the gap that it is in."""
        moment = local.replace(tzinfo=self._zone).astimezone(UTC)
        if moment.astimezone(self._zone).replace(tzinfo=None) == local:
            return moment
        # The clock jumped over it: read with the old offset it lies behind the jump, by less than was left out.
        before = local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        change = self._first_change(before, moment)
        return moment if change is None else change

    def _repeating_after(self, moment: datetime) -> datetime | None:
        while True:
            offset = self._offset(moment)
            local = next(self._matches_after((moment + offset).replace(tzinfo=None)), None)
            if local is None:
                return None
            tick = (local - offset).replace(tzinfo=UTC)
            change = self._first_change(moment, tick)
            if change is None:
                return tick
            first = next(self._matches_after((change + self._offset(change) - _SECOND).replace(tzinfo=None)), None)
            if first is not None and (first - self._offset(change)).replace(tzinfo=UTC) == change:
                return change
            moment = change

    def _matches_after(self, local: datetime) -> Iterator[datetime]:
        """The local times that match, as if no clock were ever changed."""
        from cronsim import CronSim

        try:
            yield from CronSim(self._fields, local)
        except (OverflowError, ValueError):  # the calendar ends
            return

    def _offset(self, moment: datetime) -> timedelta:
        offset = moment.astimezone(self._zone).utcoffset()
        assert offset is not None, "a moment in a zone has an offset"
        return offset

    def _first_change(self, after: datetime, until: datetime) -> datetime | None:
        """The first second after one moment, up to another, at which the zone has another offset."""
        offset = self._offset(after)
        low = after
        while low < until:
            high = min(low + _OFFSET_LASTS, until)
            if self._offset(high) != offset:
                return self._change_within(low, high, offset)
            low = high
        return None

    def _change_within(self, low: datetime, high: datetime, offset: timedelta) -> datetime:
        """Where exactly: `low` still has the offset, `high` has another."""
        low, high = low.replace(microsecond=0), high.replace(microsecond=0)
        while high - low > _SECOND:
            middle = (low + (high - low) / 2).replace(microsecond=0)
            low, high = (middle, high) if self._offset(middle) == offset else (low, middle)
        return high


def _fields(expression: object) -> str:
    """The six fields of an expression."""
    if not isinstance(expression, str) or len(expression) > CRON_LENGTH_MAX:
        raise InvalidCron(expression, f"expected text of up to {CRON_LENGTH_MAX} characters")
    text = expression.strip()
    if text.startswith("@"):
        if text.lower() not in NAMED:
            raise InvalidCron(expression, f"of names there are {', '.join(NAMED)}")
        text = NAMED[text.lower()]
    count = len(text.split())
    if count not in (5, 6):
        raise InvalidCron(expression, f"it has {count} fields")
    return f"0 {text}" if count == 5 else text


def _zone(name: object) -> ZoneInfo:
    if not isinstance(name, str):
        raise UnknownZone(name, None)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(name, closest(name, available_timezones())) from None


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
