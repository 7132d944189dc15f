"""Crash points: every port call of every scenario fails, is not answered, or kills or stops the process that makes it.

Exhaustively, one strike at a time (outside of `make points` a twentieth of them); and by seeds, several strikes at
once. To play one again: `play(...)` with the strikes that the violation names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fairlead.hosts.simulation.fate import Strike
from fairlead.hosts.worker import Worker
from fairlead.kernel.commands import OutcomeKind
from tests.simulation.playing import DRIVEN, Driving, Violation, play
from tests.simulation.scenarios import ONCE, SCENARIOS, Scenario

SCENARIO = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
DRIVING = pytest.mark.parametrize("driving", DRIVEN, ids=lambda driving: driving.name)

STRIKES_MAX = 6
"""Strikes of one seed: few enough that no task uses up its attempts."""


@DRIVING
@SCENARIO
def test_without_faults_every_task_runs_once(scenario: Scenario, driving: Driving) -> None:
    """The scenarios themselves are right, and each has one course, whose points can be named."""
    played = play(scenario, driving)

    assert played.struck == []
    assert played == play(scenario, driving)


def _points(scenario: Scenario, driving: Driving, strike: Strike, stride: int) -> Iterator[int]:
    """Some of the points of a scenario; what one way to strike leaves out is struck in the next one."""
    first = list(Strike).index(strike) * len(DRIVEN) + DRIVEN.index(driving)
    yield from range(first % stride, len(play(scenario, driving).points), stride)


@pytest.mark.fault(1, 2, 3, 4, 5, 6, 8, 13, 20, 21, 22)
@DRIVING
@SCENARIO
@pytest.mark.parametrize("strike", Strike)
def test_every_port_call_may_be_struck(scenario: Scenario, driving: Driving, strike: Strike, stride: int) -> None:
    """One strike at each point of the scenario: it recovers, and no promise is broken."""
    for point in _points(scenario, driving, strike, stride):
        assert len(play(scenario, driving, {point: strike}).struck) == 1


@pytest.mark.fault(21, 22)
@DRIVING
@pytest.mark.parametrize("strike", [Strike.ANSWER_LOST, Strike.REFUSED])
def test_a_port_that_fails_costs_no_attempt(driving: Driving, strike: Strike) -> None:
    """Where processes go on, tasks with a single attempt complete, whichever call fails or is not answered."""
    points = play(ONCE, driving).points

    assert {"persistence.claim_tasks", "transaction.commit"} <= set(points)
    for point in range(len(points)):
        assert len(play(ONCE, driving, {point: strike}).struck) == 1


@pytest.mark.fault(3, 4, 5)
def test_several_strikes_at_once(seeds: range) -> None:
    """Random scenarios, points and strikes, some of them while the recovery from others is under way."""
    struck = 0
    for seed in seeds:
        chosen = random.Random(seed)
        scenario, driving = chosen.choice(SCENARIOS), chosen.choice(DRIVEN)
        count = chosen.randint(2, STRIKES_MAX)
        strikes = {chosen.randrange(120): chosen.choice(list(Strike)) for _ in range(count)}

        struck += len(play(scenario, driving, strikes).struck)
    assert struck > len(seeds)


@pytest.mark.parametrize("driving", DRIVEN[:2], ids=lambda driving: driving.name)
def test_what_is_not_recorded_must_not_be_remembered(monkeypatch: pytest.MonkeyPatch, driving: Driving) -> None:
    """A host that keeps what an attempt returned, whether or not it counts, hands it to dependents; this finds out."""
    ended: Any = Worker.ended

    def hasty(self: Worker, execution: Any, outcome: Any, *, running: bool) -> None:
        if outcome is not None and outcome.kind is OutcomeKind.COMPLETED:
            self.recorded(execution.lease, outcome.output)
        ended(self, execution, outcome, running=running)

    (fickle,) = (scenario for scenario in SCENARIOS if scenario.name == "fickle")
    points = range(len(play(fickle, driving).points))
    monkeypatch.setattr(Worker, "ended", hasty)

    with pytest.raises(Violation, match=r"paused at .*what its steps returned does not agree"):
        _strike_all(fickle, driving, Strike.PAUSED, points)


def _strike_all(scenario: Scenario, driving: Driving, strike: Strike, points: Iterable[int]) -> None:
    for point in points:
        play(scenario, driving, {point: strike})
