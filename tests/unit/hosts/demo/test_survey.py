"""The flow as a whole, on memory adapters."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.demo import (
    Listing,
    Request,
    analyse,
    combine,
    kernel,
    path_text,
    survey_folder,
    write_json,
    write_markdown,
)
from fairlead.hosts.demo.paths import path_bytes
from fairlead.hosts.demo.report import staged_path
from fairlead.hosts.demo.totals import total
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, InvalidInput, Kernel, RunDidNotComplete


@pytest.fixture
async def working() -> AsyncIterator[Kernel]:
    """A kernel with a host that works on it."""
    async with kernel(memory_ports()) as found, NodeHost(found, concurrency=8):
        yield found


def request(folder: Path, report: Path) -> Request:
    """A survey whose report is of the kind that its name says."""
    return Request(
        folder=path_text(os.fsencode(folder)),
        report=path_text(os.fsencode(report)),
        format="json" if report.suffix == ".json" else "markdown",
    )


def fill(folder: Path, names: list[bytes]) -> None:
    """Write a file of two lines, all different, for each name."""
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / os.fsdecode(name)).write_text(f"line\n{number}\n")


async def test_a_folder_is_surveyed(working: Kernel, tmp_path: Path) -> None:
    """Each file, odd names included, is analysed once and stands in the report in order."""
    folder = tmp_path / "data"
    names = [b"a.py", b"b\xff.txt", b"c\nd", b"\\e", "é".encode()]
    fill(folder, names)

    run = await working.start(survey_folder, request(folder, tmp_path / "report.json"))
    totals = await run.output(combine, timeout=30)
    place = await run.output(write_json, timeout=30)
    analyses = await run.outputs(analyse, timeout=30)

    assert totals is not None
    assert (totals.files, totals.lines, totals.words) == (5, 10, 10)
    assert place == path_text(os.fsencode(tmp_path / "report.json"))
    paths = [None if each is None else each.path for each in analyses]
    assert [path_bytes(path or "") for path in paths] == sorted(names)
    assert await run.output(write_markdown, timeout=30) is None
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert [each["path"] for each in report["files"]] == paths


async def test_a_file_that_cannot_be_read_costs_only_its_line(
    working: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails once, is told, and everything else is surveyed."""
    fill(tmp_path / "data", [b"a", b"closed", b"z"])
    opened = os.open

    def refuse(path: bytes | str, *arguments: object, **named: object) -> int:
        if os.fsencode(path).endswith(b"closed"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    run = await working.start(survey_folder, request(tmp_path / "data", tmp_path / "report.md"))
    place = await run.output(write_markdown, timeout=30)
    totals = await run.output(combine, timeout=30)
    (lost,) = (await run.details()).attempts

    assert place is not None
    assert totals is not None
    assert (totals.files, totals.measured, totals.unread) == (3, 2, 1)
    assert (lost.key.step, lost.key.element, lost.attempt) == ("analyse", 1, 1)
    assert b"closed: Permission denied" in (lost.error or b"")
    assert "not read       closed" in (tmp_path / "report.md").read_text()


async def test_settings_say_what_is_left_out_and_how_fast(working: Kernel, tmp_path: Path) -> None:
    """Typed settings of two steps; what is wrong with them is found before there is a run."""
    fill(tmp_path / "data", [b"a"])
    (tmp_path / "data" / "cache").mkdir()
    wanted = request(tmp_path / "data", tmp_path / "report.md")
    settings = {"list_files": {"leave_out": ["ca*"]}, "analyse": {"pause_s": 0.001}}
    run = await working.start(survey_folder, wanted, config=settings)
    await run.result(timeout=30)

    assert "left out       cache" in (tmp_path / "report.md").read_text()
    with pytest.raises(InvalidInput, match="pause_s"):
        await working.start(survey_folder, wanted, config={"analyse": {"pause_s": "long"}})


async def test_an_empty_folder_has_a_report_too(working: Kernel, tmp_path: Path) -> None:
    """A map over nothing is no obstacle."""
    (tmp_path / "empty").mkdir()
    run = await working.start(survey_folder, request(tmp_path / "empty", tmp_path / "report.md"))

    await run.result(timeout=30)

    assert "0 files" in (tmp_path / "report.md").read_text()


async def test_a_folder_that_is_not_there_ends_the_run(working: Kernel, tmp_path: Path) -> None:
    """There is nothing to try again, and the reason is told."""
    run = await working.start(survey_folder, request(tmp_path / "missing", tmp_path / "report.md"))

    with pytest.raises(RunDidNotComplete, match="missing cannot be read: No such file or directory"):
        await run.result(timeout=30)


async def test_a_report_that_cannot_be_written_ends_the_run(working: Kernel, tmp_path: Path) -> None:
    """The folder of the report went away: told, not tried for hours."""
    run = await working.start(survey_folder, request(tmp_path, tmp_path / "gone" / "report.md"))

    with pytest.raises(RunDidNotComplete, match="cannot be written: No such file or directory"):
        await run.result(timeout=30)


def test_a_later_attempt_removes_what_an_earlier_one_left(tmp_path: Path) -> None:
    """An attempt that was killed while it wrote leaves a staged file; the next takes it away."""
    wanted = request(tmp_path, tmp_path / "report.md")
    left = Path(os.fsdecode(staged_path(wanted.report, "run-1", 1)))
    left.write_text("half")
    ctx = Context(run_id="run-1", flow="survey_folder", step="write_markdown", attempt=2, idempotency_key="k")
    listing = Listing(files=[], links=0, special=0, closed=[], left_out=[])
    write_markdown(wanted, listing, [], total([]), ctx)

    assert os.listdir(tmp_path) == ["report.md"]
