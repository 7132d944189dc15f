"""What hosts keep of payloads, across generations: nothing of an old one is served for a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, RunStatus

SIZE = 2_500
"""Elements of an array: several segments."""


class Press:
    """Handlers whose results say how often each was called, and how many pages there are."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.failing: set[int] = set()
        self.flow = self._flow()

    def _flow(self) -> Flow[Any]:
        flow = Flow("press", version=1, max_attempts=1)

        @flow.step
        def fetch(input: int) -> list[str]:
            self.calls["fetch"] += 1
            return [f"page {number}, edition {self.calls['fetch']}" for number in range(input)]

        @flow.map(over=fetch, tolerate_failures="all")
        def read(item: str, index: int) -> str:
            self.calls["read"] += 1
            if index in self.failing:
                raise ValueError("torn")
            return f"{item}, reading {self.calls['read'] > SIZE}"

        @flow.map(over=read, tolerate_failures="all")
        def embed(item: str, fetch: list[str], index: int) -> bool:
            self.calls["embed"] += 1
            return item.startswith(fetch[index])

        @flow.step
        def count(read: Iterable[str | None]) -> dict[str, int]:
            found: Counter[str] = Counter("none" if each is None else each.partition(", ")[2] for each in read)
            return dict(found)

        @flow.step
        def whole(read: list[str | None], embed: list[bool | None]) -> list[int]:
            return [sum(each is not None for each in read), sum(bool(each) for each in embed)]

        return flow


@pytest.fixture(params=[200, 64 * 1024], ids=["in blobs", "in rows"])
async def kernel(request: pytest.FixtureRequest, press: Press) -> AsyncIterator[Kernel]:
    """A kernel that one host serves."""
    size: int = request.param
    async with (
        Kernel(flows=[press.flow], ports=memory_ports(), inline_bytes_max=size) as kernel,
        NodeHost(kernel, concurrency=20),
    ):
        yield kernel


@pytest.fixture
def press() -> Press:
    """The flow."""
    return Press()


async def test_a_rerun_works_on_new_values(kernel: Kernel, press: Press) -> None:
    """Arrays in segments, elements, whole lists and streams are those of the new generation."""
    run = await kernel.start("press", SIZE)
    assert await run.result(timeout=60) == {"count": {"edition 1, reading False": SIZE}, "whole": [SIZE, SIZE]}

    await run.rerun("fetch")

    assert await run.result(timeout=60) == {"count": {"edition 2, reading True": SIZE}, "whole": [SIZE, SIZE]}
    outputs = await run.outputs("read")
    assert {output.partition(", ")[2] for output in outputs} == {"edition 2, reading True"}
    assert press.calls == {"fetch": 2, "read": 2 * SIZE, "embed": 2 * SIZE}


async def test_a_retry_works_on_kept_values_and_new_ones(kernel: Kernel, press: Press) -> None:
    """Wherever a map's outputs are asked for, each element is of the generation that completed it."""
    press.failing = {0, 999, 1_000, SIZE - 1}
    run = await kernel.start("press", SIZE)
    failed = len(press.failing)
    assert await run.result(timeout=60) == {
        "count": {"edition 1, reading False": SIZE - failed, "none": failed},
        "whole": [SIZE - failed, SIZE - failed],
    }

    press.failing = {999}
    answer = await run.retry("read")

    assert answer.elements == {"read": failed}
    assert await run.result(timeout=60) == {
        "count": {"edition 1, reading False": SIZE - failed, "edition 1, reading True": failed - 1, "none": 1},
        "whole": [SIZE - 1, SIZE - 1],
    }
    assert press.calls == {"fetch": 1, "read": SIZE + failed, "embed": 2 * SIZE - failed - 1}
    assert await run.status() is RunStatus.COMPLETED
    assert await kernel.ports.persistence.check_invariants() == {}
