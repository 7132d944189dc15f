"""What a process that does nothing but run a host sets up."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fairlead.hosts.process import YOUNG_MAX, collect_rarely, new_runner


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector, as it was before once the test is over."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_loaded_is_not_looked_at_again(collector: None) -> None:
    """And what is new only when there is much of it."""
    collect_rarely()

    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == YOUNG_MAX


async def _answer() -> int:
    return 42


def test_a_runner_runs() -> None:
    """On whichever loop there is."""
    with new_runner() as runner:
        assert runner.run(_answer()) == 42
