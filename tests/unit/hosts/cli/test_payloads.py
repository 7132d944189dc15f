"""What went into a run and what came out, for people and for programs."""

from __future__ import annotations

import json

import msgspec
import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli.payloads import CHARACTERS_MAX, ELEMENTS_MAX, RunPayloads, read_run_payloads
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel
from fairlead.kernel.fetching import MISSING


class Volume(msgspec.Struct):
    """Settings of a step."""

    loud: bool = False


async def payloads(elements: int, *, everything: bool) -> RunPayloads:
    """Of a run with a map, a long output and a step that failed."""
    flow = Flow("parade", version=1, max_attempts=1)

    @flow.step
    def line_up(input: int, config: Volume) -> list[int]:
        return list(range(input))

    @flow.map(over=line_up)
    def march(item: int) -> int | None:
        return item or None

    @flow.step
    def sing(march: list[int | None]) -> str:
        return "la" * CHARACTERS_MAX

    @flow.step(after=[sing], on_exhausted="skip")
    def bow(input: int) -> str:
        raise ValueError("no")

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start("parade", elements, config={"line_up": {"loud": True}})
        await run.wait(timeout=30)
        return await read_run_payloads(kernel, await run.details(), everything=everything)


async def test_people_see_what_there_is_room_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Input, config, outputs in the order of the steps; of a long map the first, of a long payload its beginning."""
    (await payloads(30, everything=False)).print()
    lines = capsys.readouterr().out.splitlines()

    assert lines[1:4] == ["PAYLOADS", "input     30", 'config    {"line_up":{"loud":true}}']
    assert [line.partition(" ")[0] for line in lines[4:-2]] == [
        "line_up",
        *(f"march[{n}]" for n in range(ELEMENTS_MAX)),
    ]
    assert "march[0]  null" in lines
    assert lines[-2].startswith('sing      "lala')
    assert lines[-2].endswith(f"… and {CHARACTERS_MAX + 2:,} more characters; --all shows them")
    assert lines[-1] == "… and 20 more outputs of march; --all shows them"


async def test_an_element_that_failed_is_no_null(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is one that has no task, since what it is made of failed; both differ from one that returned None."""
    flow = Flow("parade", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures="all")
    def march(item: int) -> int | None:
        if item == 1:
            raise ValueError("tripped")
        return item or None

    @flow.map(over=march)
    def salute(item: int | None) -> int | None:
        return item

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start("parade", [0, 1, 2])
        await run.wait(timeout=30)
        (await read_run_payloads(kernel, await run.details(), everything=False)).print()

    assert capsys.readouterr().out.splitlines()[2:] == [
        "input      [0,1,2]",
        "march[0]   null",
        "march[1]   no output: the element failed",
        "march[2]   2",
        "salute[0]  null",
        "salute[1]  no output: the element that it is made of failed",
        "salute[2]  2",
    ]


async def test_all_means_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Every element, every character."""
    (await payloads(30, everything=True)).print()
    text = capsys.readouterr().out

    assert "march[29]  29" in text
    assert "la" * CHARACTERS_MAX in text
    assert "more" not in text


async def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Payloads are documents within the document, never text; how many there are in all is told."""
    document = json.loads(msgspec.json.encode((await payloads(12, everything=False)).as_json()))

    assert document["input"] == 12
    assert document["config"] == {"line_up": {"loud": True}}
    assert document["outputs"]["march"] == {"elements": 12, "outputs": [None, *range(1, ELEMENTS_MAX)]}
    assert document["outputs"]["sing"] == {"elements": 1, "outputs": ["la" * CHARACTERS_MAX]}
    assert "bow" not in document["outputs"]


async def test_a_large_payload_is_told_by_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    """It is fetched only for those who ask for everything."""
    flow = Flow("large", version=1)

    @flow.step
    def fill(input: str) -> str:
        return input * 2

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start("large", "x" * 100_000)
        await run.wait(timeout=30)
        details = await run.details()
        (await read_run_payloads(kernel, details, everything=False)).print()
        bounded = capsys.readouterr().out.splitlines()
        some = await read_run_payloads(kernel, details, everything=False)
        whole = await read_run_payloads(kernel, details, everything=True)

    assert bounded[2:] == [
        "input  100.0 KB, kept as a blob; --all shows it",
        "fill   200.0 KB, kept as a blob; --all shows it",
    ]
    assert some.as_json()["input"] == {"blob": {"size_bytes": 100_002}}
    assert json.loads(msgspec.json.encode(whole.as_json()))["outputs"]["fill"]["outputs"] == ["x" * 200_000]


async def test_what_cannot_be_read_hides_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """In its place stands why, and in which store it was looked for; the rest is shown."""
    flow = Flow("large", version=1)

    @flow.step
    def fill(input: str) -> str:
        return input * 2

    @flow.step
    def measure(fill: str) -> int:
        return len(fill)

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start("large", "x" * 40_000)
        await run.wait(timeout=30)
        (blob,) = [blob async for blob in kernel.ports.blobs.list()]
        await kernel.ports.blobs.delete(blob.key)
        found = await read_run_payloads(kernel, await run.details(), everything=True)
    found.print()
    problem = f"blob {blob.key!r} cannot be read from the memory of this process: {MISSING}"

    assert capsys.readouterr().out.splitlines()[2:] == [
        f'input    "{"x" * 40_000}"',
        f"fill     not readable: {problem}",
        "measure  80000",
    ]
    outputs = json.loads(msgspec.json.encode(found.as_json()))["outputs"]
    assert outputs["fill"]["outputs"] == [{"blob": {"size_bytes": 80_002, "problem": problem}}]
    assert outputs["measure"]["outputs"] == [80_000]
