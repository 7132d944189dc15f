"""Removals of runs are judged: each one that should not have been is found, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from fairlead.adapters.memory.rows import Batch, Run
from fairlead.adapters.memory.store import Store
from fairlead.hosts.simulation.removing import RemovalChecks
from fairlead.kernel import Flow
from fairlead.ports.statuses import RunStatus
from tests.unit.adapters.memory.test_invariants import World

RETENTION_S = 60.0


class Removed:
    """A run that has ended and is gone."""

    def __init__(self, store: Store) -> None:
        stored = next(run for run in store.runs.values() if run.row.status is RunStatus.COMPLETED)
        flow: Flow[None] = Flow("short", version=1, retention=RETENTION_S)

        @flow.step
        def step() -> int:
            return 1

        flow.seal()
        self.store = store
        self.checks = RemovalChecks(store, [flow], clock_error_s=1)
        self.run: Run = replace(stored.row, id="gone", flow="short", key="key")
        self.batches: list[Batch] = [replace(batch, published=True) for batch in stored.events.values()]
        assert self.run.ended_at is not None
        self.at: datetime = self.run.ended_at + timedelta(seconds=RETENTION_S)

    def problems(self) -> list[str]:
        """What is wrong with its removal."""
        return list(self.checks.problems(self.run, self.batches, self.at))


@pytest.fixture
async def removed() -> Removed:
    """One that was kept as long as its flow says, has nothing to publish, and has left nothing."""
    return Removed((await World().fill()).store)


async def test_a_run_that_was_kept_long_enough_may_go(removed: Removed) -> None:
    """By a clock that is a little ahead, too; and it is counted."""
    removed.at -= timedelta(seconds=1)

    assert removed.problems() == []
    assert removed.checks.removed == 1


async def test_a_run_is_kept_unless_its_flow_says_otherwise(removed: Removed) -> None:
    """A flow without a retention keeps its runs."""
    removed.run.flow = "other"

    assert removed.problems() == ["I1: run gone is gone, and flow 'other' keeps its runs"]


async def test_a_run_is_kept_for_as_long_as_its_flow_says(removed: Removed) -> None:
    """Not by a clock that is further ahead than clocks may be, and not while it goes on."""
    removed.at -= timedelta(seconds=2)

    assert [problem.startswith("I1: run gone is gone 0:00:58 after its end") for problem in removed.problems()] == [
        True
    ]

    removed.run.ended_at = None

    assert removed.problems() == ["I1: run gone is gone, and was completed"]


async def test_a_run_is_kept_while_a_sink_lacks_events(removed: Removed) -> None:
    """The first sequence number of each row that is not published is told."""
    removed.batches[0].published = False

    assert removed.problems() == ["I33: run gone is gone, and a sink lacks its events from [1]"]


async def test_nothing_is_left_of_a_run(removed: Removed) -> None:
    """Its key stands for nobody, and it has no place among the others."""
    removed.store.by_age.append((removed.run.created_at, "gone"))
    stored = next(iter(removed.store.runs.values()))
    stored.row = replace(stored.row, id="gone")
    removed.store.by_key["short", "key"] = stored

    assert [problem.rpartition(": ")[2] for problem in removed.problems()] == ["its key", "its place among all runs"]
