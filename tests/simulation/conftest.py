"""How much a campaign plays: `--seeds N`."""

from __future__ import annotations

import pytest

SEEDS = 200
"""Random sets of strikes that every test run plays. Whoever plays more of them plays every single strike as well."""

STRIDE = 20
"""Of how many points one is struck in every test run, in one way."""

CAMPAIGN_SEEDS = 2_000
"""Worlds of the campaign that every test run plays: about two of the twenty minutes that it may take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of seeds from the command line."""
    parser.addoption("--seeds", type=int, default=SEEDS, help=f"random sets of strikes to play (default: {SEEDS})")


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """The seeds to play."""
    seeds = request.config.getoption("--seeds")
    assert isinstance(seeds, int)
    return range(seeds)


@pytest.fixture
def campaign_seeds() -> range:
    """The seeds of the campaign that every test run plays; `python -m tests.simulation.campaign` plays any others."""
    return range(CAMPAIGN_SEEDS)


@pytest.fixture
def stride(seeds: range) -> int:
    """Of how many points one is struck in one way: all of them by `make points`, else few.

    What is left out in one way is struck in others.
    """
    return 1 if len(seeds) > SEEDS else STRIDE
