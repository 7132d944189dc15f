"""How many random seeds a campaign plays: `--seeds N`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of seeds from the command line."""
    parser.addoption("--seeds", type=int, default=200, help="random sets of strikes to play (default: 200)")


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """The seeds to play."""
    seeds = request.config.getoption("--seeds")
    assert isinstance(seeds, int)
    return range(seeds)
