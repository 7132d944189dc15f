"""Flushers and sinks under faults: every call fails before, after, or with its answer lost, and sinks are unwell."""

from __future__ import annotations

import random

import pytest

from fairlead.hosts.simulation.fate import Strike
from fairlead.kernel.decisions import holding
from tests.simulation.flushing import play

STRIKES_MAX = 12


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events become dead letters after a few attempts, within minutes."""
    monkeypatch.setattr(holding, "ATTEMPTS_MAX", 3)


@pytest.mark.fault(9)
@pytest.mark.parametrize("strike", Strike)
def test_every_call_of_a_flush_may_be_struck(impatient: None, strike: Strike, stride: int) -> None:
    """One strike at every call of the flushers, or at some of them: nothing is lost and no order changes."""
    for point in range(list(Strike).index(strike) % stride, len(play(1).points), stride):
        assert len(play(1, {point: strike}).struck) == 1


@pytest.mark.fault(9, 75)
def test_sinks_that_are_unwell_and_processes_that_die(impatient: None, seeds: range) -> None:
    """Random moods and strikes; on some of the seeds events become dead letters, and a replay brings them back."""
    lost = struck = 0
    for seed in seeds:
        chosen = random.Random(seed)
        count = chosen.randint(0, STRIKES_MAX)
        strikes = {chosen.randrange(300): chosen.choice(list(Strike)) for _ in range(count)}

        played = play(seed, strikes)

        lost += played.lost
        struck += len(played.struck)
    assert lost > 0
    assert struck > len(seeds)


@pytest.mark.fault(75)
def test_no_event_is_lost_to_trouble_of_minutes(seeds: range) -> None:
    """With the attempts that events have, none becomes a dead letter."""
    for seed in list(seeds)[:10]:
        assert play(seed).lost == 0
