"""What attempts need and cannot get: the attempt fails with what was in its way, and its host goes on with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from msgspec.structs import replace

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel
from fairlead.kernel.failures import decode_failure
from fairlead.ports import Ports
from tests.support.hands import Hands

TIMEOUT_S = 10.0


class Surprise(Exception):
    """What no adapter should raise."""


class Reading:
    """A port whose next reads of payloads or blobs go as a test says; afterwards all is well."""

    def __init__(self, inner: Any, *, times: int, error: Exception | None = None) -> None:
        self._inner = inner
        self._times = times
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _is_struck(self) -> bool:
        self._times -= 1
        if self._times >= 0 and self._error is not None:
            raise self._error
        return self._times >= 0

    async def read_payloads(self, runs: Sequence[str], outputs: Any, states: Any = ()) -> Any:
        """Read; where it is struck and has no error to raise, the inputs of the runs are lacking."""
        if runs and self._is_struck():
            return replace(await self._inner.read_payloads(runs, outputs, states), runs={})
        return await self._inner.read_payloads(runs, outputs, states)

    async def get(self, key: str) -> bytes:
        """Read a blob."""
        self._is_struck()
        data: bytes = await self._inner.get(key)
        return data


def _flow() -> Flow[Any]:
    flow: Flow[Any] = Flow("reading", version=1, input=list[str], max_attempts=2, base_delay=0)

    @flow.step
    async def work(input: list[str]) -> int:
        return len(input)

    return flow


async def _attempts(ports: Ports, words: list[str]) -> list[tuple[str, str]]:
    """Run the flow to its good end on a host that has to read its input, since another one has claimed the run.

    Returns:
        Reason and error type of the attempts that failed.
    """
    kernel = Kernel(flows=[_flow()], ports=ports)
    run = await kernel.start("reading", words)
    await Hands(kernel).claim_runs()
    async with NodeHost(kernel, concurrency=1):
        assert await run.result(timeout=TIMEOUT_S) == {"work": len(words)}
        return [
            (each.reason, decode_failure(each.error).type)
            for each in (await run.details()).attempts
            if each.error is not None
        ]


@pytest.mark.fault(76)
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_store_that_raises_what_it_should_not_costs_an_attempt(ports: Ports) -> None:
    """Of every task whose input was to be read; the next attempt runs."""
    persistence: Any = Reading(ports.persistence, times=1, error=Surprise("boom"))

    assert await _attempts(evolve(ports, persistence=persistence), ["a"]) == [("host_failed", f"{__name__}.Surprise")]


@pytest.mark.fault(76)
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_blob_store_that_raises_what_it_should_not_costs_an_attempt(ports: Ports) -> None:
    """Of the task that needs the blob."""
    blobs: Any = Reading(ports.blobs, times=1, error=Surprise("boom"))
    words = ["x" * 1_000] * 1_000

    assert await _attempts(evolve(ports, blobs=blobs), words) == [("host_failed", f"{__name__}.Surprise")]


@pytest.mark.fault(37)
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_store_that_lacks_an_input_costs_an_attempt(ports: Ports) -> None:
    """A replica or a backup that is behind may have it a moment later."""
    persistence: Any = Reading(ports.persistence, times=1)

    assert await _attempts(evolve(ports, persistence=persistence), ["a"]) == [("host_failed", "PayloadMissing")]
