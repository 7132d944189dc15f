"""One run as text and as JSON, with retries, failures and a map."""

from __future__ import annotations

import json
from datetime import datetime

import msgspec
import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.cli.details import LINES_MAX, print_details
from fairlead.hosts.cli.records import details_json
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel, RunDetails, RunDidNotComplete

ELEMENTS = 30


@pytest.fixture
async def failed() -> RunDetails:
    """A run whose map had many repeated tasks and whose last step failed."""
    flow = Flow("parade", version=3, base_delay=0, max_attempts=2)

    @flow.step
    def prepare(input: int) -> list[int]:
        return list(range(input))

    @flow.map(over=prepare)
    def march(item: int, ctx: Context) -> int:
        if item and ctx.attempt == 1:
            raise ValueError(f"tripped {item}")
        return item

    @flow.step
    def salute(march: list[int]) -> str:
        raise RuntimeError("no flag")

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel, concurrency=4):
        run = await kernel.start("parade", ELEMENTS, key="spring", priority=5)
        await run.wait(timeout=30)
        return await run.details()


async def test_the_text_tells_what_happened(failed: RunDetails, capsys: pytest.CaptureFixture[str]) -> None:
    """Run, steps in order, repeated tasks, errors and events, none of them too many."""
    print_details(failed, everything=False)
    text = capsys.readouterr().out
    lines = text.splitlines()

    assert lines[0] == f"run {failed.run.id}: failed (handler_failed)"
    assert "  flow      parade (version 3)" in lines
    assert "  key       spring" in lines
    assert "  priority  5" in lines
    assert "  error     RuntimeError: no flag" in lines
    steps = [line.split()[:4] for line in lines if line.startswith(("prepare ", "salute ")) or " 30/30 " in line]
    assert steps == [
        ["prepare", "completed", "1/1", "0"],
        ["march", "completed", "30/30", "0"],
        ["salute", "failed", "1/1", "1"],
    ]
    assert "march[1], attempt 1, handler_failed: ValueError: tripped 1" in lines
    assert sum("tripped" in line for line in lines) == LINES_MAX
    assert "… and 11 more attempts; --all shows them" in lines
    assert "Traceback" not in text
    assert "salute(march" not in text
    assert "… and 19 more events before these; --all shows them" in lines
    assert "run.failed" in lines[-2]


async def test_all_means_all(failed: RunDetails, capsys: pytest.CaptureFixture[str]) -> None:
    """Every task, attempt and event, and where errors were raised."""
    print_details(failed, everything=True)
    text = capsys.readouterr().out

    assert sum(", attempt " in line for line in text.splitlines()) == ELEMENTS - 1 + 2
    assert "more" not in text
    assert 'raise RuntimeError("no flag")' in text


async def test_the_json_has_everything_under_stable_keys(failed: RunDetails) -> None:
    """Steps in order, all tasks, attempts and events, times in RFC 3339."""
    document = json.loads(msgspec.json.encode(details_json(failed)))

    assert set(document) == {
        "run",
        "generations",
        "steps",
        "tasks",
        "attempts",
        "events",
        "annotations",
        "progress",
        "logs",
    }
    assert (document["run"]["status"], document["run"]["key"], document["run"]["priority"]) == ("failed", "spring", 5)
    assert datetime.fromisoformat(document["run"]["created_at"]).tzinfo is not None
    assert document["run"]["error"]["message"] == "no flag"
    assert [(each["step"], each["tasks"], each["tasks_ended"]) for each in document["steps"]] == [
        ("prepare", 1, 1),
        ("march", ELEMENTS, ELEMENTS),
        ("salute", 1, 1),
    ]
    assert len(document["tasks"]) == ELEMENTS + 2
    assert sum(each["attempts"] for each in document["tasks"]) == 1 + ELEMENTS + ELEMENTS - 1 + 2
    assert len(document["attempts"]) == ELEMENTS - 1 + 2
    assert {each["reason"] for each in document["attempts"]} == {"handler_failed"}
    assert [each["sequence"] for each in document["events"]] == list(range(1, len(document["events"]) + 1))
    assert document["events"][0]["type"] == "run.created"
    assert document["events"][-1]["type"] == "run.failed"


async def test_errors_are_shown_line_by_line_and_without_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """A message of several lines keeps them under the run, is one line elsewhere, and cannot clear the screen."""
    flow = Flow("parade", version=1, max_attempts=1)

    @flow.step
    def fall(input: int) -> int:
        raise ValueError("no legs\n\x1b[2Jand no arms")

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start("parade", 1)
        await run.wait(timeout=30)
        details = await run.details()
    print_details(details, everything=False)
    lines = capsys.readouterr().out.splitlines()

    start = lines.index("  error     ValueError: no legs")
    assert lines[start + 1] == "            \ufffd[2Jand no arms"
    assert "fall[0], attempt 1, handler_failed: ValueError: no legs \ufffd[2Jand no arms" in lines


async def test_gaps_and_skips_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """A map over a tolerant map has elements without a task; a step that did not run says why."""
    flow = Flow("parade", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures="all")
    def march(item: int) -> int:
        if item == 1:
            raise ValueError("tripped")
        return item

    @flow.map(over=march)
    def salute(item: int) -> int:
        return item

    @flow.step(when={"input": [9]})
    def rest(input: list[int]) -> int:
        return 0

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel):
        run = await kernel.start("parade", [0, 1, 2])
        await run.wait(timeout=30)
        details = await run.details()
    print_details(details, everything=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    document = json.loads(msgspec.json.encode(details_json(details)))

    assert ["STEP", "STATUS", "TASKS", "FAILED", "GAPS", "TOOK", "REASON"] in lines
    assert ["march", "completed", "3/3", "1", "0"] in [line[:5] for line in lines]
    assert ["salute", "completed", "3/3", "0", "1"] in [line[:5] for line in lines]
    assert ["rest", "skipped", "-", "0", "0", "-", "condition_unmet"] in lines
    assert [line for line in lines if line[:1] == ["gaps:"]] != []
    assert {step["step"]: step["gaps"] for step in document["steps"]} == {"march": 0, "salute": 1, "rest": 0}


async def test_too_many_failures_of_a_map_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The run's error, and that of a map which is skipped for it, say how many failed and how many may."""
    flow = Flow("parade", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures=1, on_exhausted="skip")
    def march(item: int) -> int:
        raise ValueError("tripped")

    @flow.map(over="input", after=[march], tolerate_failures=0.5)
    def salute(item: int) -> int:
        raise ConnectionError("no flag")

    async with Kernel(flows=[flow], ports=memory_ports()) as kernel, NodeHost(kernel, concurrency=1):
        run = await kernel.start("parade", [0, 1, 2])
        await run.wait(timeout=30)
        details = await run.details()
        with pytest.raises(RunDidNotComplete, match=r"2 of 3 elements of 'salute' failed, 1 is tolerated"):
            await run.result()
    print_details(details, everything=False)
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(msgspec.json.encode(details_json(details)))

    told = "2 of 3 elements of 'salute' failed, 1 is tolerated; the last: ConnectionError: no flag"
    assert f"  error     {told}" in lines
    assert "march: 2 of 3 elements of 'march' failed, 1 is tolerated; the last: ValueError: tripped" in lines
    assert document["run"]["error"]["exceeded"] == {"step": "salute", "failed": 2, "elements": 3, "tolerated": 1}
