"""Crash points: every port call of every scenario fails before, after, or with its answer lost.

Exhaustively, one strike at a time (outside of `make sim` half of them); and by seeds, several strikes at once. To play
one seed again: `python -m pytest tests/simulation -k several --seeds N`, or `play(...)` with the strikes that the
violation names.
"""

from __future__ import annotations

import random

import pytest

from tests.simulation.faults import Injector, Mode
from tests.simulation.playing import play
from tests.simulation.scenarios import ONCE, SCENARIOS, Scenario

DRIVEN = pytest.mark.parametrize("messages", [False, True], ids=["polling", "messages"])
PLAYED = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)

STRIKES_MAX = 6
"""Strikes of one seed: few enough that no task uses up its attempts."""


@DRIVEN
@PLAYED
def test_without_faults_every_task_runs_once(scenario: Scenario, messages: bool) -> None:
    """The scenarios themselves are right, and what is counted is what happens."""
    played = play(scenario, Injector({}), messages=messages)

    assert played.struck == []
    assert played.executions == play(scenario, Injector({}), messages=messages).executions


@pytest.mark.fault(1, 2, 3, 4, 5, 6, 8, 13, 20, 21, 22)
@DRIVEN
@PLAYED
@pytest.mark.parametrize("mode", Mode)
def test_every_port_call_may_fail(scenario: Scenario, messages: bool, mode: Mode, stride: int) -> None:
    """One strike at each point of the scenario: it recovers, and no promise is broken."""
    points = len(play(scenario, Injector({}), messages=messages).points)
    first = (list(Mode).index(mode) + messages) % stride

    for point in range(first, points, stride):
        played = play(scenario, Injector({point: mode}), messages=messages)

        assert len(played.struck) == 1


@pytest.mark.fault(21, 22)
@DRIVEN
@pytest.mark.parametrize("mode", [Mode.ANSWER_LOST, Mode.FAIL_BEFORE])
def test_a_port_that_fails_costs_no_attempt(messages: bool, mode: Mode) -> None:
    """Where processes go on, tasks with a single attempt complete, whichever call fails or is not answered."""
    points = play(ONCE, Injector({}), messages=messages).points

    assert {"persistence.claim_tasks", "transaction.commit"} <= set(points)
    for point in range(len(points)):
        played = play(ONCE, Injector({point: mode}), messages=messages)

        assert len(played.struck) == 1


@pytest.mark.fault(3, 4, 5)
def test_several_strikes_at_once(seeds: range) -> None:
    """Random scenarios, points and modes, some of them while the recovery from others is under way."""
    struck = 0
    for seed in seeds:
        chosen = random.Random(seed)
        scenario = chosen.choice(SCENARIOS)
        count = chosen.randint(2, STRIKES_MAX)
        strikes = {chosen.randrange(120): chosen.choice(list(Mode)) for _ in range(count)}

        played = play(scenario, Injector(strikes), messages=chosen.random() < 0.5)

        struck += len(played.struck)
    assert struck > len(seeds)
