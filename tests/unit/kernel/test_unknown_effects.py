"""What a caller is told where the answer to a commit was lost: the truth, or that it is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock, MemoryPersistence, memory_ports
from fairlead.kernel import AdapterError, Flow, Kernel, LimitExceeded, Start
from fairlead.kernel.commands import START_BATCH_MAX
from fairlead.kernel.dispatch.means import CONTENTION_TRIES_MAX
from fairlead.ports import Ports
from fairlead.ports.changes import NewRun
from fairlead.ports.errors import CommitUnknown, Unavailable
from fairlead.ports.reading import RunRecord
from fairlead.ports.records import StartedRun


class Failing(MemoryPersistence):
    """A store whose inserts take effect, or not, and answer as they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Iterator[AdapterError | None] = iter(())
        self.unreadable = False

    async def insert_runs(self, runs: Sequence[NewRun], *, patience_s: float | None = None) -> Sequence[StartedRun]:
        error = next(self.answers, None)
        started: Sequence[StartedRun] = ()
        if type(error) is not Unavailable:
            started = await super().insert_runs(runs, patience_s=patience_s)
        if error is not None:
            raise error
        return started

    async def read_run(self, run_id: str) -> RunRecord | None:
        if self.unreadable:
            raise Unavailable("gone")
        return await super().read_run(run_id)


class RestlessClock(ManualClock):
    """A clock that nobody has to move on for those who sleep."""

    async def sleep(self, duration_s: float) -> None:
        self.advance(timedelta(seconds=duration_s))


@pytest.fixture
def store() -> Failing:
    """The store."""
    return Failing()


@pytest.fixture
def ports(store: Failing) -> Ports:
    """Ports over it."""
    return evolve(memory_ports(clock=RestlessClock(datetime(2026, 1, 1, tzinfo=UTC))), persistence=store)


def plain() -> Flow[Any]:
    """A flow of one step."""
    flow = Flow("plain", version=1)

    @flow.step
    def work(input: object) -> object:
        return input

    return flow


@pytest.mark.fault(22)
@pytest.mark.parametrize("unknown", range(CONTENTION_TRIES_MAX))
async def test_what_fails_after_an_unknown_commit_is_unknown_too(store: Failing, ports: Ports, unknown: int) -> None:
    """Whichever try it is, the last one included; only where no commit was unknown is the error as it came."""
    kernel = Kernel(flows=[plain()], ports=ports)
    store.answers = iter([*[CommitUnknown("lost")] * unknown, Unavailable("gone")])

    with pytest.raises(Unavailable) as raised:
        await kernel.start("plain", 1)

    assert (type(raised.value) is CommitUnknown) == (unknown > 0)
    assert len((await kernel.runs()).runs) == min(unknown, 1)


async def test_a_commit_that_stays_unknown_is_told_so(store: Failing, ports: Ports) -> None:
    """After the last try; the run is there once."""
    kernel = Kernel(flows=[plain()], ports=ports)
    store.answers = iter([CommitUnknown("lost")] * CONTENTION_TRIES_MAX)

    with pytest.raises(CommitUnknown, match="lost"):
        await kernel.start("plain", 1)

    assert len((await kernel.runs()).runs) == 1


async def blobs_of(ports: Ports) -> list[str]:
    """The keys of all blobs."""
    return [blob.key async for blob in ports.blobs.list()]


async def test_too_many_starts_are_refused_before_anything_is_written(ports: Ports) -> None:
    """Fault 54: their inputs would be orphans."""
    kernel = Kernel(flows=[plain()], ports=ports, inline_bytes_max=8)

    with pytest.raises(LimitExceeded, match="runs to start"):
        await kernel.start_many("plain", [Start(input="a large input")] * (START_BATCH_MAX + 1))

    assert await blobs_of(ports) == []


@pytest.mark.parametrize(("error", "kept"), [(Unavailable("gone"), 0), (CommitUnknown("lost"), 1)])
async def test_the_input_of_a_run_that_is_not_there_goes_with_it(
    store: Failing, ports: Ports, error: AdapterError, kept: int
) -> None:
    """Where the start failed; where its commit is unknown the run may exist, and then its input must."""
    kernel = Kernel(flows=[plain()], ports=ports, inline_bytes_max=8)
    store.answers = iter([error] * CONTENTION_TRIES_MAX)

    with pytest.raises(AdapterError):
        await kernel.start("plain", "a large input")

    assert len(await blobs_of(ports)) == kept
