"""Outputs on their way into blobs, and where that is worked on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.hosts import spilling
from fairlead.hosts.node import NodeHost
from fairlead.hosts.spilling import IN_LOOP_BYTES_MAX
from fairlead.kernel import Flow
from fairlead.kernel.plan import ValuePath
from fairlead.kernel.spilling import Spill
from tests.unit.hosts.conftest import MakeKernel

TIMEOUT_S = 20.0


@pytest.mark.parametrize("over", [0, 1])
async def test_large_outputs_are_worked_on_beside_the_loop(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    """Beyond a megabyte they are cut and hashed in a thread, so that the host's other attempts go on."""
    workers: set[threading.Thread] = set()

    class Watched(Spill):
        def __init__(self, data: bytes, arrays: Sequence[ValuePath], prefix: str) -> None:
            workers.add(threading.current_thread())
            super().__init__(data, arrays, prefix)

        def blobs(self) -> Any:
            for blob in super().blobs():
                workers.add(threading.current_thread())
                yield blob

    monkeypatch.setattr(spilling, "Spill", Watched)
    text = "x" * (IN_LOOP_BYTES_MAX - len('""') + over)
    flow = Flow("large", version=1)

    @flow.step
    async def make() -> str:
        return text

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        assert await run.output(make, timeout=TIMEOUT_S) == text

    assert workers
    assert (threading.current_thread() in workers) is not bool(over)
