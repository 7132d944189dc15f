"""Faults 53 and 55 to 58: odd data has one verdict, whichever adapter stores it and whichever way it comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, FlowDefinitionError, InvalidInput, Kernel, Resource, RunHandle, Start, UnknownFlow
from fairlead.kernel.failures import MESSAGE_LENGTH_MAX, decode_failure
from fairlead.ports.reading import OutputRequest
from fairlead.ports.statuses import RunStatus
from tests.support.large_payloads import TIMEOUT_S, World
from tests.support.odd_data import REFUSED, STORED


def carriers() -> Flow[Any]:
    """A flow that carries a value as its input, as an output, as an element and as an element of a stream."""
    flow: Flow[Any] = Flow("carriers", version=1, input=Any, max_attempts=3, base_delay=0)

    @flow.step
    async def plain(input: Any) -> Any:
        return input

    @flow.map(over=plain)
    async def each(item: Any) -> Any:
        return item

    @flow.step
    def streamed(each: Iterable[Any]) -> Iterable[Any]:
        return (value for value in each)

    return flow


def producers() -> list[Flow[str]]:
    """Flows whose handlers return what a name stands for: in the event loop, in a thread, as a stream's element."""
    looping, threading, streaming = (
        Flow(slug, version=1, input=str, input_name="name", base_delay=0) for slug in ("loop", "thread", "stream")
    )

    @looping.step
    async def looped(name: str, values: Resource[dict[str, object]]) -> object:
        return values[name]

    @threading.step
    def threaded(name: str, values: Resource[dict[str, object]]) -> object:
        return values[name]

    @streaming.step
    def streamed(name: str, values: Resource[dict[str, object]]) -> Iterable[Any]:
        return iter([values[name]])

    return [looping, threading, streaming]


async def stored(kernel: Kernel, run: RunHandle, step: str) -> list[bytes | None]:
    """The recorded outputs of a step."""
    request = OutputRequest(run.id, step)
    payloads = await kernel.ports.persistence.read_payloads([run.id], [request])
    return list(payloads.outputs[request].outputs)


@pytest.mark.fault(53)
async def test_what_is_stored_is_canonical_everywhere(watched: World) -> None:
    """Fault 53, I38: as input, output, element and stream, inline and in blobs, byte by byte the same text."""
    inline, spilled = watched.kernel(carriers()), watched.kernel(carriers(), inline_bytes_max=1)
    for kernel in (inline, spilled):
        async with NodeHost(kernel, concurrency=50):
            runs = await kernel.start_many("carriers", [Start(input=[value]) for value, _ in STORED.values()])
            for run in runs:
                await run.wait(timeout=TIMEOUT_S)
        for run, (_, text) in zip(runs, STORED.values(), strict=True):
            assert await run.status() is RunStatus.COMPLETED
            if kernel is inline:
                payloads = await kernel.ports.persistence.read_payloads([run.id], [])
                assert payloads.runs[run.id].input == b"[" + text + b"]"
                assert await stored(kernel, run, "plain") == [b"[" + text + b"]"]
                assert await stored(kernel, run, "each") == [text]
                assert await stored(kernel, run, "streamed") == [b"[" + text + b"]"]
            else:
                assert await watched.blobs.get(f"runs/{run.id}/input/whole") == b"[" + text + b"]"
                assert await watched.blobs.get(f"runs/{run.id}/plain/1/0/1/0/0") == b"[" + text + b"]"
                assert await watched.blobs.get(f"runs/{run.id}/streamed/1/0/1/0/0") == b"[" + text + b"]"


@pytest.mark.fault(53)
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_as_input_starts_nothing(watched: World, name: str) -> None:
    """Fault 53: with its path."""
    kernel = watched.kernel(carriers(), inline_bytes_max=1)
    value, path = REFUSED[name]

    with pytest.raises(InvalidInput) as raised:
        await kernel.start("carriers", value)

    assert path in raised.value.problems[0][0]
    assert (await kernel.runs()).runs == []
    assert watched.blobs.puts == {}


@pytest.mark.fault(53)
@pytest.mark.parametrize("flow", producers(), ids=lambda flow: str(flow.slug))
async def test_what_is_refused_as_output_fails_its_task(watched: World, flow: Flow[str]) -> None:
    """Fault 53: once, with its path, whoever returns it; no run is left over."""
    values = {name: value for name, (value, _) in REFUSED.items()}
    kernel = watched.kernel(flow, inline_bytes_max=100)
    async with NodeHost(kernel, concurrency=50, resources={"values": values}):
        runs = await kernel.start_many(flow, [Start(input=name) for name in REFUSED])
        records = [await run.wait(timeout=TIMEOUT_S) for run in runs]

    assert {(record.status, record.reason) for record in records} == {(RunStatus.FAILED, "invalid_output")}
    for run, (_, path) in zip(runs, REFUSED.values(), strict=True):
        (attempt,) = (await run.details()).attempts
        assert attempt.attempt == 1
        assert path.removeprefix("$") in decode_failure(attempt.error or b"").message


@pytest.mark.fault(55)
async def test_error_texts_are_capped_and_cleaned(watched: World) -> None:
    """Fault 55: an error of 100 MB with a NUL, of a class without a proper name, is a few kilobytes in a row."""
    flow = Flow("loud", version=1, max_attempts=1)
    named: dict[str, object] = {"__module__": "odd\0", "__qualname__": "\ud800" + "x" * 1_000_000}

    @flow.step
    async def shout() -> None:
        raise type("Loud", (RuntimeError,), named)("\0\ud800" + "x" * 100_000_000)

    kernel = watched.kernel(flow, inline_bytes_max=4)
    async with NodeHost(kernel):
        run = await kernel.start("loud", None)
        record = await run.wait(timeout=TIMEOUT_S)

    assert record.error is not None
    assert len(decode_failure(record.error).message) < 2 * MESSAGE_LENGTH_MAX
    assert decode_failure(record.error).type.startswith("odd␀.?xxx")
    assert len(record.error) < 30_000
    assert watched.blobs.puts == {}


NO_SLUGS = ["", "x" * 129, "run", "é", "a'b", "'; drop table runs; --", "../a", "a\n", "a b", "1a", "a\0"]


@pytest.mark.fault(56)
@pytest.mark.parametrize("slug", NO_SLUGS)
async def test_what_is_no_slug_is_refused_before_any_store_sees_it(watched: World, slug: str) -> None:
    """Fault 56: of a flow or a step; and nothing is found under such a name."""
    if slug != "run":
        with pytest.raises(FlowDefinitionError):
            Flow(slug, version=1)
    with pytest.raises(FlowDefinitionError):
        Flow("fine", version=1).step(lambda: None, slug=slug)
    with pytest.raises(UnknownFlow):
        await watched.kernel(carriers()).start(slug, None)


@pytest.mark.fault(56)
async def test_the_longest_slugs_work(watched: World) -> None:
    """Fault 56: 128 characters are accepted by every table and every blob store."""
    flow: Flow[Any] = Flow("f" * 128, version=1, input=Any)
    longest = "s" * 128
    flow.map(lambda item: item, over="input", slug=longest)  # pyright: ignore
    kernel = watched.kernel(flow, inline_bytes_max=1)
    async with NodeHost(kernel):
        run = await kernel.start(flow, ["ab", "cd"])

        assert await run.result(timeout=TIMEOUT_S) == {longest: ["ab", "cd"]}


@pytest.mark.large
@pytest.mark.fault(57)
async def test_a_flow_of_ten_thousand_steps(watched: World) -> None:
    """Fault 57: none is refused, ten thousand are fine."""
    with pytest.raises(FlowDefinitionError, match="no step"):
        Flow("empty", version=1).seal()
    flow = Flow("many", version=1)
    for number in range(10_000):
        flow.step(lambda: None, slug=f"step_{number}")
    kernel = watched.kernel(flow)
    async with NodeHost(kernel, concurrency=500):
        run = await kernel.start("many", None)
        record = await run.wait(timeout=120)

    assert record.status is RunStatus.COMPLETED
    assert len(await run.result()) == 10_000


@pytest.mark.fault(58)
@pytest.mark.parametrize("elements", [0, 1, pytest.param(100_000, marks=pytest.mark.large)])
async def test_fan_outs_of_any_width(watched: World, elements: int) -> None:
    """Fault 58: none, one, and more than a map's window; in order."""
    flow = Flow("wide", version=1, input=list[int])

    @flow.map(over="input")
    async def each(item: int) -> int:
        return -item

    @flow.step
    def last(each: Iterable[int]) -> int:
        return sum(value == -index for index, value in enumerate(each))

    kernel = watched.kernel(flow)
    async with NodeHost(kernel, concurrency=500):
        run = await kernel.start(flow, list(range(elements)))

        assert await run.result(timeout=120) == {"last": elements}
