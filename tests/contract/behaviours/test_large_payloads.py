"""Large payloads: what does not fit a row is in blobs, and nobody sees the difference. Fault 54, invariant I28."""

from __future__ import annotations

import pytest
from attrs import frozen

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, IdempotencyConflict, InvalidInput, Start
from fairlead.kernel.references import INLINE_BYTES_MAX, is_reference
from fairlead.ports.errors import Unavailable
from fairlead.ports.records import RunClaim
from fairlead.ports.statuses import RunStatus
from tests.support.large_payloads import MIB, TIMEOUT_S, World, echo, words
from tests.support.watched_blobs import referenced_blobs


@pytest.mark.fault(54)
@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_threshold_is_exact(watched: World, over: int) -> None:
    """Fault 54: a payload of the limit stays in its row, one byte more goes into a blob; both read back alike."""
    text = "x" * (INLINE_BYTES_MAX + over - len('""'))
    kernel = watched.kernel(echo())
    async with NodeHost(kernel, concurrency=2):
        run = await kernel.start("echo", text)
        result = await run.result(timeout=TIMEOUT_S)

    expected = {f"runs/{run.id}/second/1/0/1/whole"}
    if over > 0:
        expected |= {f"runs/{run.id}/input/whole", f"runs/{run.id}/first/1/0/1/whole"}
    assert result == {"second": [text, text]}
    assert await watched.blobs.keys() == expected
    assert await referenced_blobs(watched.ports, run.id) == expected


@pytest.mark.fault(54)
async def test_a_payload_of_ten_megabytes(watched: World) -> None:
    """Fault 54: input, output and dependents."""
    text = "x" * (10 * MIB)
    kernel = watched.kernel(echo())
    async with NodeHost(kernel, concurrency=2):
        run = await kernel.start("echo", text)

        assert await run.result(timeout=TIMEOUT_S) == {"second": [text, text]}
        assert await run.output("second") == [text, text]


@pytest.mark.fault(54)
async def test_a_payload_of_300_megabytes_is_refused_before_anything_is_written(watched: World) -> None:
    """Fault 54: a clear error that tells size, limit and way out; no run, no blob."""
    piece = "x" * (3 * MIB)
    flow = Flow("pieces", version=1, input=list[str])

    @flow.map(over="input")
    async def each(item: str) -> int:
        return len(item)

    kernel = watched.kernel(flow)

    with pytest.raises(
        InvalidInput, match=r"314,573,\d\d\d bytes of JSON are more than the 268,435,456 allowed"
    ) as raised:
        await kernel.start(flow, [piece] * 100)

    assert raised.value.problems[0][0] == "$"
    assert (await kernel.runs()).runs == []
    assert watched.blobs.puts == {}


@pytest.mark.fault(54)
async def test_an_output_that_is_too_large_fails_its_task(watched: World) -> None:
    """Fault 54: not retried, and nothing is written."""
    flow = Flow("huge", version=1)

    @flow.step
    async def produce() -> list[str]:
        return ["x" * (3 * MIB)] * 90

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start("huge", None)
        record = await run.wait(timeout=TIMEOUT_S)

    (attempt,) = (await run.details()).attempts
    assert (record.status, record.reason, attempt.attempt) == (RunStatus.FAILED, "invalid_output", 1)
    assert watched.blobs.puts == {}


async def test_settings_that_are_too_large_are_refused(watched: World) -> None:
    """Settings stand in the row of the run, so they have a limit of their own."""

    @frozen
    class Settings:
        text: str = ""

    flow = Flow("set", version=1)

    @flow.step
    async def use(config: Settings) -> int:
        return len(config.text)

    kernel = watched.kernel(flow)

    with pytest.raises(InvalidInput, match=r"config: has 70,0\d\d bytes of JSON, at most 65,536 are allowed"):
        await kernel.start("set", None, config={"use": {"text": "x" * 70_000}})


async def test_tasks_of_one_segment_share_one_read(watched: World) -> None:
    """A map over a large array reads each segment once, and the array never as a whole."""
    flow = Flow("sizes", version=1, input=list[str])

    @flow.map(over="input")
    async def size(item: str) -> int:
        return len(item)

    @flow.step
    async def total(size: list[int]) -> int:
        return sum(size)

    kernel = watched.kernel(flow)
    run = await kernel.start(flow, words(3_500, 1_000))
    async with NodeHost(kernel, concurrency=200):
        assert await run.result(timeout=TIMEOUT_S) == {"total": 3_500_000}

    segments = {f"runs/{run.id}/input/0/{number}" for number in range(4)}
    assert await watched.blobs.keys() == segments
    assert dict(watched.blobs.gets) == dict.fromkeys(segments, 1)


async def test_an_array_inside_a_payload_is_read_by_the_segment(watched: World) -> None:
    """A map over a path reads segments; who takes the payload reads it whole, once for all tasks of the host."""

    @frozen
    class Batch:
        name: str
        words: list[str]
        counts: list[int]

    flow = Flow("batches", version=1, input=str)

    @flow.step
    async def fetch(input: str) -> Batch:
        return Batch(input, words(2_500, 1_000), [1, 2, 3])

    @flow.map(over="fetch.words")
    async def size(item: str, index: int) -> int:
        return len(item) + index

    @flow.map(over="fetch.counts")
    async def named(item: int, fetch: Batch) -> str:
        return f"{fetch.name}{item}{len(fetch.words)}"

    kernel = watched.kernel(flow)
    async with NodeHost(kernel, concurrency=50):
        run = await kernel.start(flow, "a")
        result = await run.result(timeout=TIMEOUT_S)

    prefix = f"runs/{run.id}/fetch/1/0/1"
    assert result["named"] == ["a12500", "a22500", "a32500"]
    assert result["size"] == [1_000 + index for index in range(2_500)]
    assert await watched.blobs.keys() == {f"{prefix}/{name}" for name in ("whole", "0/0", "1/0", "1/1", "1/2")}
    assert max(watched.blobs.gets.values()) == 1
    assert f"{prefix}/whole" not in watched.blobs.gets, "the host that wrote it has kept it"


async def test_a_host_that_has_kept_nothing_reads_what_it_needs(watched: World) -> None:
    """One host writes, another one reads: elements that are large outputs, and a list of them."""
    flow = Flow("relay", version=1, input=int, input_name="count")

    @flow.step
    async def make(count: int) -> list[str]:
        return words(count, 10)

    @flow.map(over=make, queue="writers")
    async def long(item: str) -> str:
        return item * 20_000

    @flow.map(over=long, queue="readers", start_delay=0.05)
    def again(item: str) -> int:
        return len(item)

    @flow.step(queue="readers")
    def total(again: list[int], long: list[str]) -> list[int]:
        return [sum(again), sum(map(len, long))]

    kernel = watched.kernel(flow)
    async with NodeHost(kernel, worker="one", queues=("default", "writers")):
        async with NodeHost(kernel, worker="two", queues=("readers",)):
            run = await kernel.start(flow, 5)
            assert await run.result(timeout=TIMEOUT_S) == {"total": [1_000_000, 1_000_000]}

        assert await run.outputs(long) == [word * 20_000 for word in words(5, 10)]
    assert sorted(await watched.blobs.keys()) == [f"runs/{run.id}/long/1/{index}/1/whole" for index in range(5)]


async def test_one_key_one_run_whatever_the_threshold(watched: World) -> None:
    """The payload is compared, not where it is stored; what a repetition wrote is removed."""
    spilling, keeping = watched.kernel(echo()), watched.kernel(echo(), inline_bytes_max=MIB)
    first = await spilling.start("echo", "x" * 100_000, key="k")
    blobs = await watched.blobs.keys()

    again = await spilling.start("echo", "x" * 100_000, key="k")
    inline = await keeping.start("echo", "x" * 100_000, key="k")
    with pytest.raises(IdempotencyConflict):
        await spilling.start("echo", "y" * 100_000, key="k")
    with pytest.raises(IdempotencyConflict):
        await keeping.start("echo", "y" * 100_000, key="k")

    assert (again.id, inline.id, again.created) == (first.id, first.id, False)
    assert await watched.blobs.keys() == blobs == {f"runs/{first.id}/input/whole"}


async def test_a_claim_carries_no_large_input(watched: World) -> None:
    """Claimed rows are bounded, whatever the inputs of their runs."""
    kernel = watched.kernel(echo())
    await kernel.start_many("echo", [Start(input="x" * size) for size in (10, 70_000, MIB)])
    async with watched.ports.persistence.transaction() as transaction:
        claimed = await transaction.claim_runs(RunClaim(flow_ids=kernel.flow_ids, limit=10))

    assert sorted(is_reference(run.input) for run in claimed) == [False, True, True]
    assert max(len(run.input) for run in claimed) < 300


@pytest.mark.fault(61)
async def test_start_survives_a_store_that_fails_for_a_moment(watched: World) -> None:
    """Fault 61: also where only the answer was lost."""
    watched.blobs.failing = lambda operation, key: watched.blobs.puts[key] == 1
    watched.blobs.losing = lambda key: watched.blobs.puts[key] == 2
    kernel = watched.kernel(echo())

    run = await kernel.start("echo", "x" * 100_000)

    assert watched.blobs.puts == {f"runs/{run.id}/input/whole": 3}
    assert await referenced_blobs(watched.ports, run.id) == {f"runs/{run.id}/input/whole"}


@pytest.mark.fault(61)
async def test_start_without_a_store_starts_nothing(watched: World) -> None:
    """Fault 61: the caller is told, and nothing was written that anybody could see."""
    watched.blobs.failing = lambda operation, key: True
    kernel = watched.kernel(echo())

    with pytest.raises(Unavailable):
        await kernel.start("echo", "x" * 100_000)

    assert (await kernel.runs()).runs == []
