"""What a look at a store's rows and hosts comes to, as findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

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
from fairlead.ports.outbox import HeldRun, SinkRecord
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


@pytest.mark.parametrize("name", ["leases", "waits", "deadlines", "commands"])
def test_what_is_overdue(name: str) -> None:
    """Hosts deal with it by themselves, so a minute is nothing, and an hour is."""
    (found,) = findings_of_health(health(**{name: Overdue(3, LONG_AGO)}), [], NOW)

    assert (found.name, found.severity, found.count) == (f"overdue_{name}", Severity.TROUBLE, 3)
    assert "since 2026-05-04 11:00:00 UTC" in found.what
    assert list(findings_of_health(health(**{name: Overdue(3, NOW - timedelta(seconds=30))}), [], NOW)) == []


def test_a_broken_rule_names_some_of_its_rows() -> None:
    """And says that there are more."""
    (found,) = of_invariants({"I11_remaining_tasks": [f"row {number}" for number in range(100)]})

    assert (found.severity, found.count, len(found.rows)) == (Severity.BROKEN, ROWS_SHOWN_MAX, ROWS_SHOWN_MAX)
    assert (found.what, found.more) == ("more than 20 rows break the rule I11 remaining tasks", True)


@pytest.mark.parametrize(("rows", "told"), [(1, "1 row breaks"), (ROWS_SHOWN_MAX, "20 rows break")])
def test_all_rows_that_break_a_rule(rows: int, told: str) -> None:
    """Where they can all be shown, their number is exact."""
    (found,) = of_invariants({"I11_remaining_tasks": ["row"] * rows})

    assert (found.what, found.count, found.more) == (f"{told} the rule I11 remaining tasks", rows, False)


@pytest.mark.parametrize(("uncertainty_s", "count"), [(0.1, 0), (60.0, 1)])
def test_a_clock_that_may_be_wrong(uncertainty_s: float, count: int) -> None:
    """Leases could not be judged by it."""
    assert len(list(findings_of_clock(uncertainty_s))) == count


def sink(**named: object) -> SinkRecord:
    """A sink that is owed seven events for an hour."""
    calm: dict[str, object] = {
        "name": "billing",
        "registered_at": NOW,
        "removed": False,
        "pauses": 0,
        "not_before": None,
        "problem": None,
        "waiting": 7,
        "oldest_at": LONG_AGO,
        "held_runs": 0,
        "dead_letters": 0,
    }
    return SinkRecord(**{**calm, **named})  # type: ignore[arg-type]


HELD = HeldRun(
    run_id="run-1", next_sequence=5, attempts=7, not_before=NOW + timedelta(seconds=60), problem="OSError: down"
)
PAUSED = {"pauses": 3, "not_before": NOW + timedelta(seconds=30), "problem": "OSError: down"}
NOBODY: tuple[str, ...] = ()
OWED = "sink 'billing' is owed 7 events, the first since 2026-05-04 11:00:00 UTC: "


@pytest.mark.parametrize(
    ("found", "hosts_sinks", "name", "why", "helps"),
    [
        (
            {"removed": True, "waiting": 0, "oldest_at": None},
            [("billing",)],
            "sink_going",
            "sink 'billing': its removal has begun and has not ended",
            "fairlead outbox remove billing",
        ),
        ({}, [NOBODY], "sink_unserved", f"{OWED}no host that runs has it", "fairlead outbox remove billing"),
        (
            PAUSED,
            [],
            "sink_unserved",
            f"{OWED}no host that runs has it",
            "start a host that has it: `fairlead worker MODULE:KERNEL`",
        ),
        (
            PAUSED,
            [("billing",)],
            "sink_paused",
            f"{OWED}it accepted nothing, and is asked again in 30 s (2026-05-04 12:00:30 UTC): OSError: down",
            "put right what it says",
        ),
        (
            {"held_runs": 3, "worst": HELD},
            [None],
            "sink_holding",
            f"{OWED}3 runs are held back; event 5 of run run-1 was refused 7 times and is offered again in "
            "60 s (2026-05-04 12:01:00 UTC): OSError: down",
            "fairlead outbox replay --sink billing",
        ),
        (
            {"held_runs": 1, "worst": replace(HELD, attempts=0, not_before=NOW, problem="")},
            [("billing",)],
            "sink_holding",
            f"{OWED}1 run is held back; event 5 of run run-1 is offered again now",
            "fairlead outbox replay --sink billing",
        ),
        (
            {},
            [NOBODY, ("billing",)],
            "sink_late",
            f"{OWED}hosts have it, and do not keep up, or a call of it does not end there",
            "fairlead workers",
        ),
        (
            {"name": "a b", "dead_letters": 2, "waiting": 0, "oldest_at": None},
            [],
            "dead_letters",
            "sink 'a b' has 2 dead letters, which it never accepted",
            "fairlead outbox replay --sink 'a b'",
        ),
    ],
)
def test_a_sink_in_trouble(
    found: dict[str, object], hosts_sinks: list[tuple[str, ...] | None], name: str, why: str, helps: str
) -> None:
    """It is named, with why its events wait, and what helps."""
    hosts = [as_worker(replace(host().record, sinks=sinks), NOW) for sinks in hosts_sinks]

    (finding,) = findings_of_sinks([sink(**found)], NOTHING, hosts, NOW)

    assert (finding.severity, finding.name, finding.what) == (Severity.TROUBLE, name, why)
    assert helps in finding.remedy


@pytest.mark.parametrize("found", [{}, {"held_runs": 3, "worst": HELD}])
def test_a_sink_that_has_not_been_owed_anything_for_long(found: dict[str, object]) -> None:
    """Hosts are at it."""
    assert list(findings_of_sinks([sink(**found, oldest_at=NOW - timedelta(minutes=4))], NOTHING, [host()], NOW)) == []


@pytest.mark.parametrize(
    ("kind", "seen_ago", "ended", "has"),
    [
        (HostKind.NODE, 0, False, True),
        (HostKind.NODE, 3600, False, False),
        (HostKind.NODE, 0, True, False),
        (HostKind.SERVERLESS, 3600, False, True),
        (HostKind.SERVERLESS, 0, True, False),
    ],
)
def test_which_hosts_may_have_a_sink(kind: HostKind, seen_ago: int, ended: bool, has: bool) -> None:
    """A serverless one is silent between its calls, and has it all the same."""
    seen_at = NOW - timedelta(seconds=seen_ago)
    record = replace(host().record, kind=kind, seen_at=seen_at, ended_at=seen_at if ended else None, sinks=("billing",))

    assert as_worker(record, NOW).may_have("billing") is has
    assert not as_worker(record, NOW).may_have("mail")


def test_events_that_wait_for_no_sink() -> None:
    """They are trouble, with a remedy; with a sink they are its own."""
    (finding,) = findings_of_sinks([], Overdue(3, LONG_AGO), [], NOW)

    assert (finding.severity, finding.name, finding.count) == (Severity.TROUBLE, "events_without_sink", 3)
    assert "start a host that has a sink" in finding.remedy
    assert list(findings_of_sinks([], NOTHING, [], NOW)) == []
