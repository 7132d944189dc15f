"""What is printed of a campaign: a line now and then, and a table in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from fairlead.kernel import RunStatus, TaskStatus
from tests.chaos.checks import forgotten
from tests.chaos.facts import Facts
from tests.chaos.proxy import ProxyFault

VIOLATIONS_SHOWN_MAX = 50


@frozen(kw_only=True)
class Report:
    """How a campaign went."""

    seed: int
    seconds: float
    """How long harm was to be done."""
    harmed_s: float
    """How long it was: longer where the machine is slow."""
    drained_s: float
    """How long it took then until everything had come to its end."""
    done: Mapping[str, int]
    lost: Mapping[ProxyFault, int]
    asked: Mapping[str, int]
    workers: int
    slowest_stop_s: float
    unanswered: int
    """How many runs wait in the end, since they were to: for signals that nobody sends."""
    facts: Facts
    violations: Sequence[str]


def table(report: Report) -> str:
    """The figures, and what contradicts a promise."""
    rows = [*_harm(report), *_work(report), ("violations", f"{len(report.violations):,}")]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    lines += [f"  ✗ {each}" for each in report.violations[:VIOLATIONS_SHOWN_MAX]]
    if (more := len(report.violations) - VIOLATIONS_SHOWN_MAX) > 0:
        lines.append(f"  ✗ and {more:,} more")
    lines.append(f"  seed {report.seed}; the same harm again: {reproduction(report.seed, report.seconds)}")
    return "\n".join(lines)


def reproduction(seed: int, seconds: float) -> str:
    """The command that does the same harm at the same moments."""
    return f"make chaos MINUTES={seconds / 60:g} SEED={seed}"


def _harm(report: Report) -> list[tuple[str, str]]:
    done = report.done
    rows = [
        ("harm done for", f"{report.harmed_s:,.0f} s, drained in {report.drained_s:,.1f} s"),
        ("worker kills", f"{done.get('kills', 0):,} (of {report.workers:,} workers)"),
        ("graceful stops", f"{done.get('stops', 0):,}, the slowest in {report.slowest_stop_s:.1f} s"),
        ("zombies", f"{done.get('zombies', 0):,}"),
        ("database restarts", f"{done.get('restarts', 0):,}"),
        ("terminated backends", f"{done.get('terminated', 0):,}"),
        ("connections", ", ".join(f"{done.get(f'connections {each}', 0):,} {each}" for each in ("cut", "dropped"))),
        ("proxy faults", ", ".join(f"{done.get(f'proxy: {fault}', 0):,} {fault}" for fault in ProxyFault)),
    ]
    rows.append(("lost COMMIT answers", f"{report.lost.get(ProxyFault.LOSE_COMMIT, 0):,}"))
    rows.append(("lost answers to writes", f"{report.lost.get(ProxyFault.LOSE_WRITE, 0):,}"))
    return rows


def _work(report: Report) -> list[tuple[str, str]]:
    facts = report.facts
    statuses = dict.fromkeys(RunStatus, 0)
    for run in facts.runs.values():
        statuses[run.status] += 1
    steps = {task.id.rpartition("/")[0] for task in facts.tasks.values()}
    begun = sum(line.what == "begin" for line in facts.executions)
    ended = len(facts.executions) - begun
    losses = sum(task.status is TaskStatus.FAILED and task.reason == "worker_lost" for task in facts.tasks.values())
    published = {(line.run, line.sequence) for line in facts.published}
    return [
        ("runs", f"{len(facts.runs):,}: " + ", ".join(f"{count:,} {status}" for status, count in statuses.items())),
        ("runs left waiting", f"{report.unanswered:,}, for signals that nobody sends"),
        ("steps", f"{len(steps):,}"),
        ("tasks", f"{len(facts.tasks):,}, {losses:,} spent in lost leases"),
        ("executions", f"{begun:,} begun, {ended:,} ended"),
        ("events", f"{len(published):,}, published {len(facts.published):,} times"),
        ("attempts lost", f"{len(facts.lost):,}"),
        ("runs forgotten", f"{len(forgotten(facts)):,}"),
        ("transactions", f"{len(facts.rows):,} committed"),
        ("ticks", f"{len(facts.ticks.expected):,}"),
        ("asked", ", ".join(f"{count:,} {name}" for name, count in sorted(report.asked.items()))),
    ]
