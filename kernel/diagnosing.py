"""Is all well with a store? The invariants of its rows, and what should have been dealt with by now.

Nothing is changed. A broken invariant is a defect of Fairlead or of whoever wrote into its tables; anything else is
something for an operator.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from ..ports.health import Health, Overdue
from ..ports.outbox import SinkRecord
from .amounts import counted, moment
from .commands import CLOCK_SKEW_MAX
from .proposals import KERNEL, proposed
from .sink_states import SinkState, standing_of
from .workers import Worker, able_workers, serving_workers

PATIENCE = timedelta(minutes=1)
"""What is overdue for less is dealt with by hosts as they go."""

ROWS_SHOWN_MAX = 20
"""Rows that break one rule and are named. Of a rule that more rows break only that is told: one that every row breaks
would otherwise bring all of them here."""

COUNTED_MAX = 100_000
"""What waits for a sink is counted so far."""


class Severity(enum.StrEnum):
    """How bad a finding is."""

    BROKEN = "broken"
    """What is stored contradicts the rules."""
    TROUBLE = "trouble"
    """Something does not get on, and needs somebody."""


@frozen(kw_only=True)
class Finding:
    """Something that is wrong."""

    severity: Severity
    name: str
    """Which check found it: an invariant, such as `I11_remaining_tasks`, or a word, such as `no_host`."""
    what: str
    """What is the case, as a sentence without its full stop."""
    remedy: str
    rows: tuple[str, ...] = ()
    """The first rows concerned."""
    count: int = 0
    """How many there are; at least, where `more`."""
    more: bool = False
    """Whether there are more than were counted."""


@frozen(kw_only=True)
class Diagnosis:
    """What a doctor found."""

    findings: tuple[Finding, ...]
    """What is broken before what is in trouble."""
    checks: tuple[str, ...]
    """The names of all that was looked at."""

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def findings_of_invariants(broken: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """A finding for each invariant that does not hold.

    Args:
        broken: by name of the invariant a line for each row that breaks it; more than are shown where there are.
    """
    for name, rows in broken.items():
        more = len(rows) > ROWS_SHOWN_MAX
        count = min(len(rows), ROWS_SHOWN_MAX)
        breaking = f"{'more than ' if more else ''}{counted(count, 'row')} {'breaks' if count == 1 else 'break'}"
        yield Finding(
            severity=Severity.BROKEN,
            name=name,
            what=f"{breaking} the rule {name.replace('_', ' ')}",
            remedy="this is a defect: keep the database as it is and report it, with these rows",
            rows=tuple(rows[:ROWS_SHOWN_MAX]),
            count=count,
            more=more,
        )


def findings_of_health(health: Health, workers: Sequence[Worker], now: datetime) -> Iterator[Finding]:
    """What should have been dealt with by now, and what nobody can deal with."""
    for work in health.waiting:
        able = able_workers(workers, work.flow, work.version)
        serving = able if work.queue is None else serving_workers(able, work.queue)
        if serving or now - work.since < PATIENCE:
            continue
        what = f"{counted(work.count, 'run' if work.queue is None else 'task')} of {work.flow} (version {work.version})"
        what += " waits" if work.count == 1 else " wait"
        if able and work.queue is not None:
            what += f" in queue {work.queue!r}, which no host that runs serves"
            remedy = f"start one that does: {proposed('worker', KERNEL, '--queue', work.queue)}"
        else:
            what += ", and no host that runs has that version"
            served = () if work.queue in (None, "default") else ("--queue", work.queue)
            remedy = f"start a host that has it: {proposed('worker', KERNEL, *served)}; a run stays with its version"
        yield Finding(severity=Severity.TROUBLE, name="no_host", what=what, remedy=remedy, count=work.count)
    late = f"hosts do this by themselves: is one running, and can it keep up? {proposed('workers')}"
    overdue: Iterable[tuple[str, Overdue, timedelta, str, str]] = (
        ("leases", health.leases, CLOCK_SKEW_MAX + PATIENCE, "lease", "ended and not taken back"),
        ("waits", health.waits, PATIENCE, "suspended task", "due to be woken"),
        ("deadlines", health.deadlines, PATIENCE, "run", "past the deadline"),
        ("commands", health.commands, PATIENCE, "scheduled command", "due"),
    )
    for name, found, patience, one, how in overdue:
        if found.since is not None and now - found.since >= patience:
            yield Finding(
                severity=Severity.TROUBLE,
                name=f"overdue_{name}",
                what=f"{counted(found.count, one)} {how}, the first since {moment(found.since)}",
                remedy=late,
                count=found.count,
            )
    if health.held:
        yield Finding(
            severity=Severity.TROUBLE,
            name="held_commands",
            what=f"{counted(health.held, 'scheduled command')} could not be carried out, and "
            f"{'is' if health.held == 1 else 'are'} held",
            remedy=f"{proposed('schedules', 'list')} and {proposed('deferred', 'list')} say why; put it right and "
            "resume or retry them, or remove or withdraw them",
            count=health.held,
        )


def findings_of_sinks(
    sinks: Sequence[SinkRecord], unpublished: Overdue, workers: Sequence[Worker], now: datetime
) -> Iterator[Finding]:
    """Sinks that do not get their events, and events that they will not get any more unless somebody asks.

    Args:
        sinks: those that the store knows.
        unpublished: the outbox rows that wait for any.
        workers: the hosts that are known.
        now: the time.
    """
    for sink in sinks:
        standing = standing_of(sink, workers, now)
        at_once = standing.state in (SinkState.GOING, SinkState.PAUSED)
        if standing.state is not SinkState.WELL and (at_once or standing.overdue(now)):
            since = sink.oldest_at
            owed = f" is owed {counted(sink.waiting, 'event')}, the first since {moment(since)}" if since else ""
            yield Finding(
                severity=Severity.TROUBLE,
                name=f"sink_{standing.state}",
                what=f"sink {sink.name!r}{owed}: {standing.why}",
                remedy=standing.remedy,
                count=sink.waiting,
            )
        if sink.dead_letters:
            yield Finding(
                severity=Severity.TROUBLE,
                name="dead_letters",
                what=f"sink {sink.name!r} has {counted(sink.dead_letters, 'dead letter')}, which it never accepted",
                remedy=f"{proposed('outbox', 'dead', '--sink', sink.name)} shows them, "
                f"{proposed('outbox', 'replay', '--sink', sink.name)} offers them again",
                count=sink.dead_letters,
            )
    if unpublished.since is not None and not sinks:
        yield Finding(
            severity=Severity.TROUBLE,
            name="events_without_sink",
            what=f"{counted(unpublished.count, 'row')} of the outbox waiting since {moment(unpublished.since)}, "
            "and the store knows no sink: a removal that was interrupted left them",
            remedy="start a host that has a sink: with it they become history, and their runs can be pruned",
            count=unpublished.count,
        )


def findings_of_blobs(first: Sequence[str], count: int, store: str) -> Iterator[Finding]:
    """References that do not resolve.

    Args:
        first: a line for each of those to be shown, as `broken_references` gives them.
        count: how many there are.
        store: where the blobs should be.
    """
    if count:
        yield Finding(
            severity=Severity.BROKEN,
            name="I28_references_resolve",
            what=f"{counted(count, 'payload')} cannot be read from {store}",
            remedy="is this the blob store that hosts use? Otherwise restore these blobs from a backup",
            rows=tuple(first),
            count=count,
        )


def findings_of_clock(uncertainty_s: float) -> Iterator[Finding]:
    """Whether leases can be judged by this clock."""
    if uncertainty_s > CLOCK_SKEW_MAX.total_seconds():
        yield Finding(
            severity=Severity.TROUBLE,
            name="clock",
            what=f"this process's clock may be {uncertainty_s:.1f} s wrong",
            remedy="a host with such a clock takes no leases: look at the network between it and the database",
        )
