"""Arrays that handlers make and take element by element, of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow
from fairlead.ports.statuses import RunStatus
from tests.support.large_payloads import MIB, TIMEOUT_S, World, streaming, words
from tests.support.watched_blobs import referenced_blobs


@pytest.mark.parametrize("count", [0, 1, 3_000])
async def test_arrays_are_made_and_taken_element_by_element(watched: World, count: int) -> None:
    """Generators become arrays that maps work over; reducers go through them, again and again."""
    kernel = watched.kernel(streaming())
    async with NodeHost(kernel, concurrency=50):
        run = await kernel.start("streaming", count)
        result = await run.result(timeout=TIMEOUT_S)

        length = 1_000 * count
        long = sum(100_000 if index < 12 else 1_000 for index in range(count))
        assert result == {"taken": [length, length, length, long], "awaiting": [length, length, long]}
        assert await run.output("made") == words(count, 1_000)
        assert await run.output("awaited") == words(count, 1_000)
    segments = {key for key in await watched.blobs.keys() if "/made/" in key}
    assert segments == {
        f"runs/{run.id}/made/1/0/1/0/{number}" for number in range(-(-count * 1_003 // MIB) if count > 1 else 0)
    }
    await referenced_blobs(watched.ports, run.id)


async def test_lists_are_taken_element_by_element_too(watched: World) -> None:
    """An input and an output that were whole where they were made are read by the segment where they are streamed."""
    flow = Flow("listed", version=1, input=list[str], input_name="lines")

    @flow.step
    async def copied(lines: list[str]) -> list[str]:
        return lines

    @flow.step(queue="readers")
    def both(lines: Iterable[str], copied: Iterable[str]) -> list[int]:
        return [sum(map(len, lines)), sum(map(len, copied))]

    @flow.step(after=[both])
    async def unread() -> list[str]:
        return words(100, 1_000)

    kernel = watched.kernel(flow)
    run = await kernel.start(flow, words(3_500, 1_000))
    async with NodeHost(kernel):
        assert await run.output(copied, timeout=TIMEOUT_S) == words(3_500, 1_000)
    watched.blobs.gets.clear()
    async with NodeHost(kernel, queues=("default", "readers")):
        assert await run.output(both, timeout=TIMEOUT_S) == [3_500_000] * 2
        assert await run.output(unread, timeout=TIMEOUT_S) == words(100, 1_000)

    segments = {f"runs/{run.id}/{made}/0/{number}" for made in ("input", "copied/1/0/1") for number in range(4)}
    unread_key = f"runs/{run.id}/unread/1/0/1/whole"
    assert await referenced_blobs(watched.ports, run.id) == segments | {unread_key}


async def test_conditions_ask_about_the_elements_of_a_stream(watched: World) -> None:
    """Facts are gathered as the elements pass."""
    flow = Flow("asked", version=1, input=int, input_name="count")

    @flow.step
    def made(count: int) -> Iterable[dict[str, object]]:
        return ({"kind": "last" if index == count - 1 else "other", "text": "x" * 1_000} for index in range(count))

    @flow.step(when={"made": [{"kind": "last"}, {"kind": "other"}]})
    async def both() -> int:
        return 1

    @flow.step(when={"made": [{"kind": "first"}]})
    async def none() -> int:
        return 2

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        large = await kernel.start(flow, 2_000)
        small = await kernel.start(flow, 1)

        assert await large.result(timeout=TIMEOUT_S) == {"both": 1}
        assert await small.result(timeout=TIMEOUT_S) == {}


async def test_a_stream_that_breaks_is_made_anew(watched: World) -> None:
    """A generator that raises half-way is a failed attempt; the next one writes under keys of its own."""
    flow = Flow("breaking", version=1, base_delay=0)

    @flow.step
    def made(ctx: Context) -> Iterable[str]:
        def each() -> Iterator[str]:
            yield from words(2_000, 1_000)
            if ctx.attempt == 1:
                raise RuntimeError("half-way")

        return each()

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start("breaking", None)
        await run.wait(timeout=TIMEOUT_S)

    (attempt,) = (await run.details()).attempts
    referenced = await referenced_blobs(watched.ports, run.id)
    assert attempt.reason == "handler_failed"
    assert referenced == {f"runs/{run.id}/made/1/0/2/0/{number}" for number in range(2)}
    assert await watched.blobs.keys() - referenced == {f"runs/{run.id}/made/1/0/1/0/0"}


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_element_that_does_not_fit_its_array(watched: World, is_async: bool) -> None:
    """The producer's fault fails the producer, with the element's place; it is not retried."""
    flow = Flow("unfit", version=1)
    values: list[Any] = [1, 2, {"three": 3}]

    def made() -> Iterable[int]:
        return iter(values)

    async def made_async() -> Iterable[int]:
        return iter(values)

    flow.step(made_async if is_async else made, slug="made")
    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start("unfit", None)
        record = await run.wait(timeout=TIMEOUT_S)

    (attempt,) = (await run.details()).attempts
    assert (record.status, record.reason, attempt.attempt) == (RunStatus.FAILED, "invalid_output", 1)
    assert attempt.error is not None
    assert b"output of step 'made': $[2]: Expected `int`, got `object`" in attempt.error


async def test_an_element_that_does_not_fit_its_reader(watched: World) -> None:
    """What the reader cannot take fails the reader, as for any input, although its handler runs already."""
    flow = Flow("misread", version=1, input=list[Any])

    @flow.map(over="input")
    async def same(item: Any) -> Any:
        return item

    @flow.step
    def taken(same: Iterable[int]) -> int:
        return sum(same)

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, [1, "two"])
        record = await run.wait(timeout=TIMEOUT_S)

    (attempt,) = (await run.details()).attempts
    assert (record.reason, attempt.attempt) == ("invalid_input", 1)
    assert attempt.error is not None
    assert b"step 'taken', parameter 'same': $[1]:" in attempt.error


async def test_values_are_no_streams(watched: World) -> None:
    """A list is one, a string is none: what is returned is judged by its type as before."""
    flow: Flow[Any] = Flow("values", version=1, input=Any)

    @flow.step
    async def made(input: Any) -> Iterable[str]:
        result: Iterable[str] = input
        return result

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, ["a", "b"])
        wrong = await kernel.start(flow, "ab")

        assert await run.result(timeout=TIMEOUT_S) == {"made": ["a", "b"]}
        assert (await wrong.wait(timeout=TIMEOUT_S)).reason == "invalid_output"


async def test_a_reader_that_stops_early_reads_no_further(watched: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are read as they are asked for."""
    pages: list[int] = []
    read_output_page = watched.ports.persistence.read_output_page

    async def counted(page: Any) -> Any:
        pages.append(page.first)
        return await read_output_page(page)

    monkeypatch.setattr(watched.ports.persistence, "read_output_page", counted)
    flow = Flow("early", version=1, input=list[int])

    @flow.map(over="input")
    async def same(item: int) -> int:
        return item

    @flow.step
    def first(same: Iterable[int]) -> int:
        return next(iter(same))

    @flow.step(after=[first])
    def every(same: Iterable[int]) -> int:
        return sum(same)

    kernel = watched.kernel(flow)
    async with NodeHost(kernel, concurrency=500):
        run = await kernel.start(flow, list(range(1_000)))
        assert await run.result(timeout=TIMEOUT_S) == {"every": sum(range(1_000))}

    assert pages == [0, 100, 200, 400, 800]


async def test_a_stream_that_may_be_skipped(watched: World) -> None:
    """None where it was skipped or its maker gave none, and element by element otherwise."""
    flow = Flow("maybe", version=1, input=int, input_name="count")

    @flow.step(when={"count": 3_000})
    def made(count: int) -> Iterable[str] | None:
        return (word for word in words(count, 1_000))

    @flow.step
    def listed(count: int) -> list[str] | None:
        return words(count, 1_000) if count else None

    @flow.step
    def taken(made: Iterable[str] | None, listed: Iterable[str] | None) -> list[int | None]:
        assert not isinstance(made, list), "a list would be all of it at once"
        return [None if each is None else sum(map(len, each)) for each in (made, listed)]

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        large, small, none = [await kernel.start(flow, count) for count in (3_000, 2, 0)]

        assert await large.output(taken, timeout=TIMEOUT_S) == [3_000_000] * 2
        assert await small.output(taken, timeout=TIMEOUT_S) == [None, 2_000]
        assert await none.output(taken, timeout=TIMEOUT_S) == [None, None]
    prefix = f"runs/{large.id}/listed/1/0/1"
    assert {key for key in await watched.blobs.keys() if "/listed/" in key} == {f"{prefix}/0/{n}" for n in range(3)}


async def test_a_skipped_map_is_an_empty_stream(watched: World) -> None:
    """And the handler may ask whether it was skipped."""
    flow = Flow("skipping", version=1, input=list[int])

    @flow.map(over="input", when={"input": [1]})
    async def same(item: int) -> int:
        return item

    @flow.step
    def taken(same: Iterable[int], ctx: Context) -> list[object]:
        return [*same, ctx.status("same")]

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, [1, 2])
        skipped = await kernel.start(flow, [2, 2])

        assert await run.result(timeout=TIMEOUT_S) == {"taken": [1, 2, "completed"]}
        assert await skipped.result(timeout=TIMEOUT_S) == {"taken": ["skipped"]}
