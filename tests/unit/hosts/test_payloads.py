"""Payloads: read for a whole claim at once, found again without a read, bounded in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from attrs import frozen

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.assembling import Values
from fairlead.hosts.executables import Executables
from fairlead.hosts.kept import Kept
from fairlead.hosts.payloads import Incomplete, PayloadMissing, Payloads
from fairlead.kernel import Context, Flow, Kernel
from fairlead.kernel.definition.binding import Streamed
from fairlead.kernel.definition.config import join_config
from fairlead.kernel.spilling import Spill, put_blob
from fairlead.ports.persistence import RunReader
from fairlead.ports.reading import OutputRequest, RunPayload, StepOutput
from fairlead.ports.reading import Payloads as Answer
from fairlead.ports.records import ClaimedTask, PendingRun, TaskKey
from fairlead.ports.statuses import StepStatus


@frozen
class Settings:
    """A step's settings."""

    dpi: int = 100


def _flow() -> Flow[dict[str, list[int]]]:
    flow = Flow("payloads", version=1, input=dict[str, list[int]], input_name="given")

    @flow.step
    async def plain(given: dict[str, list[int]]) -> dict[str, list[int]]:
        return given

    @flow.map(over="given.numbers")
    async def over_input(item: int) -> int:
        return item

    @flow.map(over="plain.numbers")
    async def over_output(item: int) -> int:
        return item

    @flow.map(over=over_input)
    async def over_map(item: int) -> int:
        return item

    @flow.step
    async def reduce(over_map: list[int], plain: dict[str, list[int]], config: Settings, ctx: Context) -> int:
        return sum(over_map)

    @flow.step(after=[reduce])
    async def alone() -> None:
        return None

    return flow


class Skip:
    """Stands for the outputs of a step that was skipped."""


class Reader:
    """A store that counts what it is asked for."""

    def __init__(
        self, runs: Mapping[str, bytes], outputs: Mapping[tuple[str, str], Sequence[bytes | None] | Skip]
    ) -> None:
        self.runs = runs
        self.outputs = outputs
        self.asked: list[tuple[tuple[str, ...], tuple[OutputRequest, ...]]] = []

    async def read_payloads(
        self, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey] = ()
    ) -> Answer:
        self.asked.append((tuple(runs), tuple(outputs)))
        return Answer(
            runs={run: RunPayload(input=self.runs[run], config=CONFIG) for run in runs if run in self.runs},
            outputs={
                request: self._output(request) for request in outputs if (request.run_id, request.step) in self.outputs
            },
        )

    def _output(self, request: OutputRequest) -> StepOutput:
        all_of_it = self.outputs[request.run_id, request.step]
        if isinstance(all_of_it, Skip):
            return StepOutput(generation=1, status=StepStatus.SKIPPED, elements=None, outputs=())
        chosen = all_of_it if request.element is None else [all_of_it[request.element]]
        return StepOutput(generation=1, status=StepStatus.COMPLETED, elements=len(all_of_it), outputs=chosen)


CONFIG = join_config({"reduce": b'{"dpi":300}'})
INPUT = b'{"numbers":[10,20,30]}'


class World:
    """Payloads over a counting reader."""

    def __init__(self, **outputs: Sequence[bytes | None] | Skip) -> None:
        kernel = Kernel(flows=[_flow()], ports=memory_ports())
        self.kernel = kernel
        self.reader = Reader({"run": INPUT}, {("run", slug): data for slug, data in outputs.items()})
        self.payloads = Payloads(cast(RunReader, self.reader), kernel.ports.blobs)

    async def __aenter__(self) -> World:
        await self.kernel.register()
        self.executables = Executables(self.kernel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kernel.aclose()

    def task(self, step: str, element: int = 0, run: str = "run") -> tuple[ClaimedTask, Any]:
        task = ClaimedTask(
            key=TaskKey(run, step, 1, element),
            flow_id=self.kernel.flow_ids[0],
            token=1,
            attempt=1,
            losses=0,
            lease_until=datetime(2026, 1, 1, tzinfo=UTC),
            priority=0,
        )
        return task, self.executables.find(task.flow_id, step)


def _payloads(found: Values | Incomplete | PayloadMissing | None) -> dict[str, bytes | Streamed | None]:
    assert isinstance(found, Values)
    return found.payloads


async def test_one_read_serves_a_whole_claim_and_what_follows() -> None:
    """Tasks of several steps are loaded in one round trip; asking again reads nothing."""
    async with World(plain=[b'{"numbers":[7,8]}'], over_input=[b"1", b"null", b"3"], over_map=[b"4", b"5"]) as world:
        wanted = [
            world.task("plain"),
            world.task("over_input", 2),
            world.task("over_output", 1),
            world.task("over_map", 1),
            world.task("reduce"),
            world.task("alone"),
        ]
        loaded = await world.payloads.load(wanted)

        expected = [
            {"input": INPUT},
            {"item": b"30"},
            {"item": b"8"},
            {"item": b"null"},
            {"config": b'{"dpi":300}', "plain": b'{"numbers":[7,8]}', "over_map": b"[4,5]"},
            {},
        ]
        assert [_payloads(each) for each in loaded] == expected
        assert [_payloads(world.payloads.find(*each)) for each in wanted] == expected
        assert world.reader.asked == [
            (
                ("run",),
                (
                    OutputRequest("run", "plain"),
                    OutputRequest("run", "over_input", 1),
                    OutputRequest("run", "over_map"),
                ),
            ),
        ]


async def test_what_the_host_knows_already_is_not_read() -> None:
    """Inputs that came with a claim and outputs of own handlers are found; only the rest is read."""
    async with World(over_map=[b"4"]) as world:
        world.payloads.remember_run(
            PendingRun(
                id="run",
                flow_id=1,
                flow="payloads",
                generation=1,
                priority=0,
                next_sequence=2,
                facts=None,
                input=INPUT,
                config=CONFIG,
            )
        )
        plain = world.task("plain")
        assert _payloads(world.payloads.find(*plain)) == {"input": INPUT}

        world.payloads.remember_output(*plain, b'{"numbers":[7,8]}')
        world.payloads.remember_output(*world.task("over_input", 1), b"2")
        assert _payloads(world.payloads.find(*world.task("over_output", 0))) == {"item": b"7"}
        assert _payloads(world.payloads.find(*world.task("over_map", 1))) == {"item": b"2"}
        assert world.payloads.find(*world.task("over_map", 2)) is None
        assert world.reader.asked == []

        await world.payloads.load([world.task("reduce")])
        assert world.reader.asked == [((), (OutputRequest("run", "over_map"),))]


async def test_a_skipped_step_is_here_and_has_nothing() -> None:
    """A skipped step is None and a skipped map an empty list; that they were skipped is known, and known for good."""
    async with World(plain=Skip(), over_map=Skip()) as world:
        wanted = world.task("reduce")
        (loaded,) = await world.payloads.load([wanted])

        expected = {"config": b'{"dpi":300}', "plain": None, "over_map": b"[]"}
        assert [_payloads(loaded), _payloads(world.payloads.find(*wanted))] == [expected, {**expected}]
        assert isinstance(loaded, Values)
        assert loaded.skipped == {"plain", "over_map"}
        assert len(world.reader.asked) == 1
        assert wanted[1].statuses(loaded.skipped) == {"plain": "skipped", "over_map": "skipped"}
        assert world.task("over_map")[1].statuses(()) == {"over_input": "completed"}


async def test_a_failed_element_that_was_tolerated_is_null() -> None:
    """A completed map has null in the place of an element without output."""
    async with World(plain=[b"{}"], over_map=[b"1", None, b"3"]) as world:
        (loaded,) = await world.payloads.load([world.task("reduce")])

        assert _payloads(loaded)["over_map"] == b"[1,null,3]"


async def test_what_is_missing_is_said_for_its_task_alone() -> None:
    """A run that was removed, a step without output, an element beyond the array: the others are loaded."""
    async with World(plain=[b'{"numbers":[7]}']) as world:
        wanted = [
            world.task("plain", run="gone"),
            world.task("over_map", 0),
            world.task("over_output", 9),
            world.task("plain"),
        ]
        loaded = await world.payloads.load(wanted)

        assert [isinstance(each, PayloadMissing) for each in loaded] == [True, True, True, False]
        assert "the output of over_input[0]" in str(loaded[1])


@pytest.mark.fault(60)
async def test_what_is_missing_in_a_blob_is_said_for_its_task_alone() -> None:
    """The blob is whole, and the array in it too short for one of the tasks."""
    async with World() as world:
        spill = Spill(INPUT, [], "runs/run/input")
        for blob in spill.blobs():
            await put_blob(world.kernel.ports.blobs, blob)
        world.reader.runs = {"run": spill.reference()}
        loaded = await world.payloads.load([world.task("over_input", 3), world.task("over_input", 2)])
        beyond, within = loaded
        assert isinstance(beyond, Incomplete)
        assert isinstance(within, Incomplete)

        with pytest.raises(PayloadMissing, match=r"input\.numbers\[3\]"):
            await world.payloads.complete(beyond)
        assert _payloads(await world.payloads.complete(within)) == {"item": b"30"}


def test_the_least_recently_used_is_forgotten() -> None:
    """Payloads stay within the bound; what was asked for lately stays longest, what is too large is not kept."""
    kept = Kept(10_000)
    for name in "abc":
        kept.put((name,), name, 3_000 - 300)
    assert kept.get(("a",)) == "a"
    kept.put(("d",), "d", 3_000 - 300)
    kept.put(("huge",), "huge", 10_001)

    assert [kept.get((name,)) for name in ("a", "b", "c", "d", "huge")] == ["a", None, "c", "d", None]
