"""Firing: which ticks of a schedule start runs now, which were missed, and when a failure is tried again.

A tick is *on time* when it is fired within `ON_TIME`, whoever fires it and whatever went wrong before: it starts its
run under every policy. An older one was missed, and the policy decides: `none` leaves all missed ticks out; `last`
fires the last of them, unless there are ticks on time, which stand for it; `all` fires them, up to `CATCH_UP_MAX`, the
last ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

from ..cron import Cron
from ..schedules import CancelEntry, CatchUp, LeftOut
from .doubling import doubled

ON_TIME = timedelta(seconds=60)
"""How late a tick may be fired without having been missed: longer than a host that died in the midst of firing holds
its claim, plus a poll, so that no crash alone makes a tick a missed one."""

CATCH_UP_MAX = 1_000
"""Missed ticks that `catch_up="all"` fires: after an outage of weeks, a schedule of every minute must not bury the rest
under its runs."""

FIRE_TICKS_MAX = 100
"""Ticks of one schedule fired in one transaction: bounded, since each has an input of its own."""

RETRY_DELAY = timedelta(seconds=1)
"""The pause after a command's first failure; it doubles with each further one."""

RETRY_DELAY_MAX = timedelta(minutes=5)
"""The longest pause: a store that is back is not waited for any longer."""

FAILURES_MAX = 8
"""After so many failures in a row a command is held: two minutes of trying. What only cannot be reached at the moment
is tried for as long as it takes."""

CALLERS_TAKE_MAX = timedelta(minutes=5)
"""How long the transaction of a caller that has started a run is waited for. By then it has committed, or the run is
not to be cancelled any more; runs that are pruned before their deadline are mostly older."""


@frozen
class DueTicks:
    """What one look at a schedule comes to."""

    ticks: Sequence[datetime]
    """Those that start runs, earliest first; at most `FIRE_TICKS_MAX`."""
    after: datetime
    """The last tick that is dealt with."""
    next_at: datetime | None
    """The next one, which may be due already; None where there is none."""
    left_out: LeftOut | None
    """The ticks that are left out."""


def fire_ticks(cron: Cron, after: datetime, now: datetime, catch_up: CatchUp) -> DueTicks:
    """Decide on the ticks after `after`, up to `now`."""
    missed_until = max(after, now - ON_TIME)
    on_time = list(cron.between(missed_until, now))
    caught_up = _caught_up(cron, after, missed_until, catch_up, any_on_time=bool(on_time))
    left_out = _left_out(cron, after, caught_up[0] if caught_up else missed_until, inclusive=not caught_up)
    ticks = [*caught_up, *on_time][:FIRE_TICKS_MAX]
    done = max(ticks[-1] if ticks else after, left_out.last if left_out else after)
    return DueTicks(ticks, done, cron.after(done), left_out)


def _caught_up(cron: Cron, after: datetime, until: datetime, catch_up: CatchUp, *, any_on_time: bool) -> list[datetime]:
    if catch_up == "none" or (catch_up == "last" and any_on_time):
        return []
    return cron.latest(after, until, 1 if catch_up == "last" else CATCH_UP_MAX)


def _left_out(cron: Cron, after: datetime, until: datetime, *, inclusive: bool) -> LeftOut | None:
    """The ticks after one moment, up to another."""
    end = until if inclusive else until - timedelta(microseconds=1)
    first = cron.after(after)
    if first is None or first > end:
        return None
    return LeftOut(first, cron.latest(after, end, 1)[0])


def may_be_started(cancel: CancelEntry, now: datetime) -> bool:
    """Whether the run of a deferred cancel, which is nowhere, may lie in a transaction of a caller that is open."""
    return cancel.asked_at is not None and now < cancel.asked_at + CALLERS_TAKE_MAX


def retry_at(now: datetime, failures: int) -> datetime:
    """When a command that has failed so often in a row is tried again."""
    return now + timedelta(seconds=doubled(RETRY_DELAY.total_seconds(), RETRY_DELAY_MAX.total_seconds(), failures))
