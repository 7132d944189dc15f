"""Fault 53 beside inputs and outputs: signals, suspended states, settings, later starts, annotations, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from fairlead.hosts.node import NodeHost
from fairlead.kernel import (
    Context,
    Flow,
    InvalidAnnotations,
    InvalidInput,
    InvalidSignal,
    Kernel,
    Resource,
    RunFilter,
    Start,
    Suspend,
)
from fairlead.kernel.failures import decode_failure
from fairlead.ports.reading import OutputRequest
from tests.support.hands import Hands
from tests.support.large_payloads import TIMEOUT_S, World
from tests.support.odd_data import REFUSED, STORED

pytestmark = pytest.mark.fault(53)


@attrs.frozen
class Settings:
    value: Any = None


def answered() -> Flow[Any]:
    """A flow that waits for anything."""
    flow: Flow[Any] = Flow("answered", version=1)
    flow.signal("answer", Any)
    return flow


def configured() -> Flow[Any]:
    """A flow whose step takes any setting, and has any input."""
    flow: Flow[Any] = Flow("configured", version=1, input=Any)

    @flow.step
    async def work(input: Any, config: Settings) -> Any:
        return config.value

    return flow


def keeping() -> Flow[str]:
    """A flow that keeps what a name stands for while it waits, and gives it back."""
    flow = Flow("keeping", version=1, input=str, input_name="name")

    @flow.step
    async def work(name: str, values: Resource[dict[str, Any]]) -> Any | Suspend[Any]:
        return Suspend(state=values[name], check_after=0.1)

    @flow.check(work)
    async def look(state: Any) -> Any | Suspend[Any]:
        return state

    return flow


async def output(kernel: Kernel, run_id: str, step: str) -> bytes | None:
    """What is stored as the output of a step."""
    request = OutputRequest(run_id, step)
    (found,) = (await kernel.ports.persistence.read_payloads([], [request])).outputs[request].outputs
    return found


async def test_signals(watched: World) -> None:
    """What a run may have as input it may have as an answer, byte by byte; what is refused leaves it waiting."""
    kernel = watched.kernel(answered())
    runs = await kernel.start_many("answered", [Start(input=None)] * len(STORED))
    async with NodeHost(kernel, concurrency=50):
        for run, (value, _) in zip(runs, STORED.values(), strict=True):
            for refused, path in REFUSED.values() if run is runs[0] else ():
                with pytest.raises(InvalidSignal) as raised:
                    await run.signal("answer", refused)
                assert path in raised.value.problems[0][0]
            await run.signal("answer", value)
        for run in runs:
            await run.wait(timeout=TIMEOUT_S)

    assert [await output(kernel, run.id, "answer") for run in runs] == [text for _, text in STORED.values()]


async def test_suspended_states(watched: World) -> None:
    """They are kept as canonically as outputs, or their steps fail at once, naming the path."""
    values = {name: value for odd in (STORED, REFUSED) for name, (value, _) in odd.items()}
    kernel = watched.kernel(keeping())
    async with NodeHost(kernel, concurrency=50, resources={"values": values}):
        runs = {name: await kernel.start("keeping", name) for name in values}
        records = {name: await run.wait(timeout=TIMEOUT_S) for name, run in runs.items()}

    assert {name: await output(kernel, runs[name].id, "work") for name in STORED} == {
        name: text for name, (_, text) in STORED.items()
    }
    assert {records[name].reason for name in REFUSED} == {"invalid_output"}
    for name, (_, path) in REFUSED.items():
        assert path.removeprefix("$") in decode_failure(records[name].error or b"").message


async def test_settings(watched: World) -> None:
    """They stand in the run's row as their canonical text, or no run is made."""
    kernel = watched.kernel(configured())
    runs = [
        await kernel.start("configured", None, config={"work": {"value": value}})
        for name, (value, _) in STORED.items()
        if name != "depth 199"  # it is two levels deeper here
    ]
    texts = [text for name, (_, text) in STORED.items() if name != "depth 199"]
    for value, path in REFUSED.values():
        with pytest.raises(InvalidInput) as raised:
            await kernel.start("configured", None, config={"work": {"value": value}})
        assert path.removeprefix("$") in raised.value.problems[0][0]

    payloads = (await kernel.ports.persistence.read_payloads([run.id for run in runs], [])).runs
    assert [payloads[run.id].config for run in runs] == [b'{"work":{"value":%s}}' % text for text in texts]
    assert len((await kernel.runs()).runs) == len(runs)


async def test_later_starts(watched: World) -> None:
    """What is started later has the input that it would have now."""
    kernel = watched.kernel(configured())
    for value, path in REFUSED.values():
        with pytest.raises(InvalidInput) as raised:
            await kernel.start_later("configured", value, after=3600)
        assert path in raised.value.problems[0][0]
    assert await kernel.deferred() == []
    deferred = [await kernel.start_later("configured", [value], after=0) for value, _ in STORED.values()]
    await Hands(kernel).fire(100)

    runs = [await each.run() for each in deferred]
    payloads = (await kernel.ports.persistence.read_payloads([run.id for run in runs], [])).runs
    assert [payloads[run.id].input for run in runs] == [b"[" + text + b"]" for _, text in STORED.values()]


EQUAL: tuple[tuple[Any, ...], ...] = (
    (0, -0.0, 0.0),
    (1, 1.0),
    (True,),
    (False,),
    ("1",),
    ("true",),
    ("é",),
    ("e\u0301",),
    ("",),
    ("\u2028",),
    ("\\",),
    ("'; drop table runs; --",),
    (10**16, 1e16),
    (5e-324,),
    (1.7976931348623157e308,),
)
"""Values of annotations by which the same runs are found."""

NO_ANNOTATIONS: tuple[Any, ...] = (float("nan"), float("inf"), 10**400, "\0", "\ud800", None, b"", [1], "x" * 501)


async def test_annotations(watched: World) -> None:
    """The same runs are found by the same values in every store: numbers as numbers, texts by their characters."""
    kernel = watched.kernel(configured())
    runs = {
        (number, index): (await kernel.start("configured", None, annotations={"value": value})).id
        for number, same in enumerate(EQUAL)
        for index, value in enumerate(same)
    }

    for number, same in enumerate(EQUAL):
        wanted = {runs[number, index] for index in range(len(same))}
        for value in same:
            page = await kernel.runs(RunFilter(annotations={"value": value}))
            assert {run.id for run in page.runs} == wanted
    for value in NO_ANNOTATIONS:
        with pytest.raises(InvalidInput):
            await kernel.start("configured", None, annotations={"value": value})
        with pytest.raises(InvalidAnnotations):
            await kernel.runs(RunFilter(annotations={"value": value}))
    assert len((await kernel.runs()).runs) == len(runs)


async def test_notes(watched: World) -> None:
    """Whatever a handler logs is logged: as its JSON, or as text where it is none. It never fails over it."""
    values: Mapping[str, Any] = {name: value for odd in (STORED, REFUSED) for name, (value, _) in odd.items()}
    odd_name: dict[str, Any] = {"\0\ud800": 1}
    flow: Flow[Any] = Flow("noting", version=1)

    @flow.step
    async def work(ctx: Context) -> None:
        for name, value in values.items():
            ctx.log(name, value=value, **odd_name)
        ctx.log("\0\ud800" + "x" * 10_000_000)
        ctx.progress(1, 2, "\0\ud800" + "x" * 10_000_000)

    kernel = watched.kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start("noting", None)
        assert await run.result(timeout=TIMEOUT_S) == {"work": None}

    found = {entry.message: entry.fields for entry in await run.logs()}
    (progress,) = await run.progress()
    assert [found[name]["value"] for name in ("minus zero", "one", "true", "a tuple")] == [-0.0, 1, True, [1, [2]]]
    assert set(values) < set(found)
    assert all("␀?" in fields for name, fields in found.items() if name in values)
    assert any(message.startswith("␀?xxx") for message in found)
    assert (progress.message or "").startswith("␀?xxx")
