"""Processes on PostgreSQL that are killed with SIGKILL at a statement or a commit, and others that go on.

A process with clients and hosts has everything done that there is: starts, retries, waits, signals, a retry of what
failed, a cancel, a deferred start, blobs, notes, events, a prune. It kills itself before or after one exchange with
the server; a fresh one, an hour later, finds what it left. In the end every run has ended as it must, every invariant
holds in SQL, no task was executed more often than its own course and the kills explain, and every event was published
in order.

Here some points are chosen, by a seed; `make crashes` takes all, and pairs of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Kernel, RunFilter, RunStatus

from .conftest import Zygote
from .scenario import EXPECTED, PRUNED, Ledger, executions_max, flows, lines_of
from .zygote import Order

CHOSEN = 24
"""Points at which a process is killed where not at all of them."""

PARTS = 4
"""Tests that share the points, so that several workers may."""

PAIRS = 50
"""Pairs of kills in each part where all points are taken."""

Databases = Callable[[], AbstractContextManager[str]]


class Played(NamedTuple):
    """What came of one scenario."""

    killed: int
    """Processes that were killed: a later one may have fewer points than it was to be killed at."""
    points: int
    """Those that the last process passed."""


async def _play(zygote: Zygote, new_database: Databases, folder: Path, kills: Sequence[tuple[int, bool]]) -> Played:
    """One process after the other, all but the last killed."""
    killed = 0
    ledger = folder / f"ledger {kills}"
    with new_database() as url:
        for incarnation, (point, after) in enumerate(kills):
            order = Order(url=url, ledger=str(ledger), incarnation=incarnation, point=point, after=after)
            if zygote.carry_out(order):
                break
            killed += 1
        assert zygote.carry_out(Order(url=url, ledger=str(ledger), incarnation=len(kills)))
        await _check(url, ledger, killed)
    return Played(killed, int(lines_of(ledger)[-1][2]))


async def _check(url: str, ledger: Path, kills: int) -> None:
    lines = lines_of(ledger)
    ports = postgres_ports(url)
    kernel = Kernel(flows=flows(Ledger(ledger)), ports=ports)
    try:
        assert await ports.persistence.check_invariants() == {}
        records = {run.key: run for run in (await kernel.runs(RunFilter())).runs}
        assert records.keys() == EXPECTED.keys()
        for key, (status, expected) in EXPECTED.items():
            record = records[key]
            got = await kernel.run(record.id).result() if record.status is RunStatus.COMPLETED else record.reason
            assert (record.status, got) == (status, expected), key
            published = [line[2] for line in lines if line[0] == "event" and line[1] == record.id]
            assert list(dict.fromkeys(published)) == list(range(1, record.next_sequence)), key
        acknowledged = {(line[1], line[2]) for line in lines if line[0] == "acknowledged" and line[1] != PRUNED}
        assert acknowledged >= {(key, record.id) for key, record in records.items()}
        assert Counter(key for key, _ in acknowledged).most_common(1)[0][1] == 1
        executions = Counter(line[1] for line in lines if line[0] == "executed")
        assert {task: n for task, n in executions.items() if n > executions_max(task, kills)} == {}
        assert kills or {n - executions_max(task, 0) for task, n in executions.items()} == {0}
    finally:
        await ports.aclose()


@pytest.fixture
async def points(zygote: Zygote, new_database: Databases, tmp_path: Path) -> int:
    """How many points there are where nobody is killed."""
    return (await _play(zygote, new_database, tmp_path, [])).points


@pytest.mark.fault(1, 2, 3, 4, 5, 7, 9, 10, 13)
@pytest.mark.parametrize("part", range(PARTS))
async def test_whatever_a_process_left_another_one_finishes(
    zygote: Zygote, new_database: Databases, tmp_path: Path, points: int, part: int, every_point: bool
) -> None:
    """Killed before a statement or commit, and after it."""
    kills = [(point, after) for point in range(points) for after in (False, True)]
    if not every_point:
        kills = random.Random(part).sample(kills, CHOSEN // PARTS)
    chosen = kills[part::PARTS] if every_point else kills
    killed = [(await _play(zygote, new_database, tmp_path, [kill])).killed for kill in chosen]

    assert sum(killed) > len(chosen) / 2


@pytest.mark.parametrize("part", range(PARTS))
async def test_a_process_may_be_killed_while_it_recovers(
    zygote: Zygote, new_database: Databases, tmp_path: Path, points: int, part: int, every_point: bool
) -> None:
    """Two kills, the second at a point of the process that found what the first had left."""
    chosen = random.Random(100 + part)
    killed = 0
    for _ in range(PAIRS if every_point else 2):
        kills = [(chosen.randrange(points), chosen.random() < 0.5) for _ in range(2)]
        killed += (await _play(zygote, new_database, tmp_path, kills)).killed

    assert killed > 0
