"""What a look at a store's rows and hosts comes to, as findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fairlead.kernel.diagnosing import (
    ROWS_SHOWN_MAX,
    Severity,
    findings_of_clock,
    findings_of_health,
    findings_of_sinks,
)
from fairlead.kernel.diagnosing import findings_of_invariants as of_invariants
from fairlead.kernel.workers import Worker, as_worker
from fairlead.ports.health import Health, Overdue, WaitingWork
from fairlead.ports.outbox import SinkRecord
from fairlead.ports.workers import HostKind, ServedFlow, WorkerRecord

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOTHING = Overdue(0, None)
LONG_AGO = NOW - timedelta(hours=1)


def health(*waiting: WaitingWork, **overdue: Overdue) -> Health:
    """A store in which nothing but this waits."""
    calm = dict.fromkeys(("leases", "waits", "deadlines", "events", "commands"), NOTHING)
    return Health(waiting=waiting, **{**calm, **overdue}, held=0)


def work(queue: str | None, since: datetime = LONG_AGO) -> WaitingWork:
    """Five of `orders`, version 3."""
    return WaitingWork(queue=queue, flow="orders", version="3", count=5, since=since)


def host(version: str = "3", queue: str = "default") -> Worker:
    """A host that runs."""
    record = WorkerRecord(
        worker="host",
        kind=HostKind.NODE,
        host="machine",
        pid=7,
        flows=(ServedFlow("orders", version),),
        queues=(queue,),
        slots=50,
        started_at=NOW,
        seen_at=NOW,
    )
    return as_worker(record, NOW)


@pytest.mark.parametrize(
    ("waiting", "hosts", "told"),
    [
        (work(None), [host()], None),
        (work("default"), [host()], None),
        (work(None), [host("2")], "5 runs of orders (version 3) wait, and no host that runs has that version"),
        (work("mail"), [host()], "5 tasks of orders (version 3) wait in queue 'mail', which no host that runs serves"),
        (work(None, NOW), [], None),
    ],
)
def test_work_that_no_host_can_take(waiting: WaitingWork, hosts: list[Worker], told: str | None) -> None:
    """Unless it has only just come: a host may be about to start."""
    found = [finding.what for finding in findings_of_health(health(waiting), hosts, NOW)]

    assert found == ([] if told is None else [told])


@pytest.mark.parametrize("name", ["leases", "waits", "deadlines", "commands", "events"])
def test_what_is_overdue(name: str) -> None:
    """Hosts deal with it by themselves, so a minute is nothing, and an hour is."""
    (found,) = findings_of_health(health(**{name: Overdue(3, LONG_AGO)}), [], NOW)

    assert (found.name, found.severity, found.count) == (f"overdue_{name}", Severity.TROUBLE, 3)
    assert "since 2026-05-04 11:00:00 UTC" in found.what
    assert list(findings_of_health(health(**{name: Overdue(3, NOW - timedelta(seconds=30))}), [], NOW)) == []


def test_a_broken_rule_names_some_of_its_rows() -> None:
    """And says how many there are."""
    (found,) = of_invariants({"I11_remaining_tasks": [f"row {number}" for number in range(100)]})

    assert (found.severity, found.count, len(found.rows)) == (Severity.BROKEN, 100, ROWS_SHOWN_MAX)
    assert found.what == "100 rows break the rule I11 remaining tasks"


@pytest.mark.parametrize(("uncertainty_s", "count"), [(0.1, 0), (60.0, 1)])
def test_a_clock_that_may_be_wrong(uncertainty_s: float, count: int) -> None:
    """Leases could not be judged by it."""
    assert len(list(findings_of_clock(uncertainty_s))) == count


def test_a_sink_in_trouble() -> None:
    """What it says, and what is dead for it."""
    sink = SinkRecord(
        name="billing",
        registered_at=NOW,
        removed=False,
        pauses=3,
        not_before=NOW,
        problem="ConnectionError: refused",
        waiting=7,
        oldest_at=LONG_AGO,
        held_runs=0,
        dead_letters=2,
    )
    paused, dead = findings_of_sinks([sink])

    assert (paused.name, paused.what) == ("sink_paused", "sink 'billing' accepts nothing: ConnectionError: refused")
    assert (dead.name, dead.count) == ("dead_letters", 2)
