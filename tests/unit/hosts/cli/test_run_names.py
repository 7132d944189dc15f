"""Which run is meant by what a person types."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli import run_names
from fairlead.hosts.cli.run_names import RunAmbiguous, RunNotNamed, find_run, nearest_flow
from fairlead.kernel import Flow, Kernel


@pytest.fixture
async def kernel() -> AsyncIterator[Kernel]:
    """A kernel with one flow, in memory."""
    flow = Flow("parade", version=3)

    @flow.step
    def march(input: int) -> int:
        return input

    async with Kernel(flows=[flow], ports=memory_ports()) as found:
        yield found


async def test_an_id_is_taken_as_it_is(kernel: Kernel) -> None:
    """In any spelling of a UUID, whether there is such a run or not."""
    assert await find_run(kernel, "0199A3C17C1F7B3A9E550B6B7F6F2A10") == "0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10"


async def test_a_part_of_an_id_is_enough(kernel: Kernel) -> None:
    """Its end, as ids that were made together begin alike; or its beginning; with and without dashes, in any case."""
    run = await kernel.start("parade", 1)

    for part in (run.id[-6:], run.id[-6:].upper(), run.id[:13], run.id[:13].replace("-", ""), run.id[-17:]):
        assert await find_run(kernel, part) == run.id


async def test_the_latest_run_has_a_name(kernel: Kernel) -> None:
    """Whatever its id; where there is none that is told."""
    with pytest.raises(RunNotNamed, match="none was ever started"):
        await find_run(kernel, "latest")
    await kernel.start("parade", 1)
    second = await kernel.start("parade", 2)

    assert await find_run(kernel, "latest") == second.id


async def test_what_several_runs_have_is_refused(kernel: Kernel) -> None:
    """The candidates are listed, so that one can be copied; not too many of them."""
    runs = [await kernel.start("parade", number) for number in range(7)]
    with pytest.raises(RunAmbiguous) as raised:
        await find_run(kernel, runs[0].id[:4])

    assert set(raised.value.candidates) == {run.id for run in runs}
    assert "parade, pending, created 20" in str(raised.value)
    assert str(raised.value).endswith("and 2 more")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no run"),
        ("order-7", "names no run"),
        ("abc", "is too short a part of an id"),
        ("a--c", "is too short a part of an id"),
        ("ffffffff", "is neither the end nor the beginning of an id"),
        ("last", "names no run"),
    ],
)
async def test_what_names_no_run_is_refused(kernel: Kernel, text: str, said: str) -> None:
    """With the way to see what there is."""
    await kernel.start("parade", 1)
    with pytest.raises(RunNotNamed, match=said) as raised:
        await find_run(kernel, text)

    assert "`fairlead runs list`" in str(raised.value)


async def test_old_runs_are_found_too(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page after page, up to a limit."""
    monkeypatch.setattr(run_names, "RUNS_PER_PAGE_MAX", 2)
    monkeypatch.setattr(run_names, "RUNS_SEARCHED_MAX", 6)
    runs = [await kernel.start("parade", number) for number in range(7)]

    assert await find_run(kernel, runs[1].id[-12:]) == runs[1].id
    with pytest.raises(RunNotNamed):
        await find_run(kernel, runs[0].id[-12:])


async def test_a_misspelt_flow_is_answered_with_the_nearest(kernel: Kernel) -> None:
    """Among the flows that have runs; nothing where the name is right, or near to none."""
    await kernel.start("parade", 1)

    assert await nearest_flow(kernel, "prade") == "parade"
    assert await nearest_flow(kernel, "parade") is None
    assert await nearest_flow(kernel, "zzz") is None
