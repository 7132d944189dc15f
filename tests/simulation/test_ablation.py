"""The proof of the tests: without a safeguard a world is convicted, by the check that is meant to find out."""

from __future__ import annotations

import pytest

from tests.simulation.ablation.convicting import accusations
from tests.simulation.ablation.safeguards import SAFEGUARDS
from tests.simulation.ablation.seeds import SEEDS
from tests.simulation.campaign.seed import play_seed


@pytest.mark.parametrize("name", SEEDS)
def test_what_is_switched_off_is_noticed(name: str) -> None:
    """At a seed at which all is well while it is there: before, and again afterwards."""
    (safeguard,) = (each for each in SAFEGUARDS if each.name == name)
    seed = SEEDS[name]
    before = play_seed(seed, arranged=safeguard.among)

    assert before.problems == ()
    assert accusations(safeguard, seed) & {*safeguard.convicted_by}
    assert play_seed(seed, arranged=safeguard.among).digest == before.digest


def test_every_safeguard_has_its_seed() -> None:
    """None is listed that nothing convicts, and a table has one line for each."""
    assert sorted(SEEDS) == sorted(safeguard.name for safeguard in SAFEGUARDS)
