"""The kernel's campaign: a slice of its seeds, and that it can fail."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from attrs import evolve

from fairlead.hosts.settling import Settler
from fairlead.hosts.simulation.faults import Faults
from tests.simulation.campaign.corpus import CORPUS
from tests.simulation.campaign.seed import play_seed

BESIDE_SEEDS = 90
"""So many seeds have some of everything that goes on beside clients."""

SEEDS_ALIKE = (*range(30), 95777)
"""Seeds that are played in two processes; in the last one sinks and blobs have told of an order and of addresses."""

CHUNKS = 40
"""Tests that share the seeds, so that they spread over processes."""


@pytest.mark.parametrize("seed", CORPUS)
def test_seeds_that_once_failed(seed: int) -> None:
    """What they found does not come back."""
    assert play_seed(seed).problems == ()


@pytest.mark.fault(3, 4, 5, 6, 8, 20, 22, 23, 39, 42, 43, 62)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_seeds(chunk: int, campaign_seeds: range) -> None:
    """Random flows, clients, machines and faults: every state is sound, every run ends as it does without faults."""
    executions = struck = 0
    for seed in campaign_seeds[chunk::CHUNKS]:
        result = play_seed(seed)

        assert result.problems == (), f"python -m tests.simulation.campaign --seed {seed}"
        executions += result.executions
        struck += sum(result.struck.values())
    assert executions > 0
    assert struck > 0


@pytest.mark.fault(11, 49, 50, 61, 70)
def test_what_goes_on_beside_clients_has_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    """In some worlds runs are removed, events lost and replayed, runs started by the clock, two batches settled at a
    time."""
    effects = Counter[str]()
    settlers: Any = Settler
    settle = settlers._settle

    async def counted(settler: Any, batch: Any, *, wait: bool) -> None:
        task = asyncio.current_task()
        effects["second batch"] += task is not None and Settler.run_second.__qualname__ in task.get_name()
        await settle(settler, batch, wait=wait)

    monkeypatch.setattr(Settler, "_settle", counted)
    for seed in range(BESIDE_SEEDS):
        result = play_seed(seed)

        assert result.problems == (), f"python -m tests.simulation.campaign --seed {seed}"
        effects.update(result.beside)
    assert {what for what, count in effects.items() if count} == {"removal", "letters", "ticking", "second batch"}


def test_one_seed_has_one_course() -> None:
    """Played again it is the same, and without faults another one."""
    first, again, calm = play_seed(1), play_seed(1), play_seed(1, faults=Faults.none())

    assert evolve(first, seconds=0) == evolve(again, seconds=0)
    assert first.digest != calm.digest
    assert calm.struck == {}


def test_one_seed_has_one_course_in_every_process() -> None:
    """Nothing goes by the order of a set, which another process has otherwise."""
    first, second = _digests("1"), _digests("2")

    assert len(set(first)) == len(SEEDS_ALIKE)
    assert first == second


def _digests(hash_seed: str) -> list[str]:
    played = f"for seed in {SEEDS_ALIKE}: print(play_seed(seed).digest)"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"from tests.simulation.campaign.seed import play_seed\n{played}"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return answer.stdout.split()
