"""Playing the campaign without a safeguard, until it is convicted."""

from __future__ import annotations

import re

from tests.simulation.campaign.seed import play_seed

from .safeguards import Safeguard

NAMED = re.compile(r"\b(?:[IP]\d+|ending)(?=[_:])")
"""How problems name what does not hold: `I22_one_run_per_key: …`, `run0 (flow1): P2: …`."""


def accusations(safeguard: Safeguard, seed: int) -> frozenset[str]:
    """The checks that one world without a safeguard does not pass, by their names."""
    try:
        problems = play_seed(seed, without=safeguard.off, arranged=safeguard.among).problems
    except Exception as error:  # what is not there may make the code itself fail
        return frozenset({type(error).__name__})
    named = (NAMED.search(problem) for problem in problems)
    return frozenset(found[0] for found in named if found is not None)


def convicts(safeguard: Safeguard, seed: int, accused: frozenset[str]) -> bool:
    """Whether one of the checks that are meant to find out has done so, in a world that passes them otherwise."""
    return bool(accused & {*safeguard.convicted_by}) and not play_seed(seed, arranged=safeguard.among).problems
