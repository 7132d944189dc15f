"""How a survey is shown: bars on a terminal, lines elsewhere, nothing for programs."""

from __future__ import annotations

import sys

import pytest

from fairlead.hosts.cli.displays import Lines, Picture, Silence, display_for
from fairlead.hosts.cli.surveying import Progress
from fairlead.ports.reading import StepRecord
from fairlead.ports.statuses import RunStatus, StepStatus


def step(slug: str, done: int, total: int | None) -> StepRecord:
    return StepRecord(
        run_id="r",
        slug=slug,
        generation=1,
        status=StepStatus.RUNNING,
        remaining_dependencies=0,
        elements=total,
        remaining_tasks=None if total is None else total - done,
        failed_tasks=0,
        cursor=0,
        started_at=None,
        ended_at=None,
        reason=None,
        error=None,
    )


def progress(**steps: tuple[int, int | None]) -> Progress:
    return Progress(status=RunStatus.RUNNING, steps={slug: step(slug, *counts) for slug, counts in steps.items()})


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that displays see; its one element is set by the test."""
    now = [100.0]
    monkeypatch.setattr("fairlead.hosts.cli.displays.monotonic", lambda: now[0])
    return now


def test_lines_tell_each_end_and_now_and_then_how_far_it_is(
    seconds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A line every two seconds at most, one per step at its end, with the pace; all on stderr, without codes."""
    with Lines() as lines:
        lines.show(progress())
        lines.show(progress(list_files=(1, 1), analyse=(0, 1_000)))
        for _ in range(4):
            seconds[0] += 1
            lines.show(progress(list_files=(1, 1), analyse=(int(seconds[0] - 100) * 200, 1_000)))
        seconds[0] += 1
        lines.show(progress(list_files=(1, 1), analyse=(1_000, 1_000), combine=(1, 1)))
        lines.show(progress(list_files=(1, 1), analyse=(1_000, 1_000), combine=(1, 1)))
    output = capsys.readouterr()

    assert output.out == ""
    assert output.err.splitlines() == [
        "list files: done",
        "analyse: 400 of 1,000, 200/s in 2.00 s",
        "analyse: 800 of 1,000, 200/s in 4.00 s",
        "analyse: done, 1,000 of 1,000, 200/s in 5.00 s",
        "combine: done",
    ]


def test_a_map_over_nothing_is_done_at_once(seconds: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """No division by zero, no missing line."""
    with Lines() as lines:
        lines.show(progress(list_files=(1, 1), analyse=(0, 0)))

    assert capsys.readouterr().err.splitlines() == ["list files: done", "analyse: done, 0 of 0"]


def test_a_picture_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Bars for the steps that have begun, and lines above them."""
    with Picture() as picture:
        picture.say("survey of /data: started run [1]")
        picture.show(progress(list_files=(1, 1), analyse=(7, 1_000), combine=(0, None)))
    output = capsys.readouterr()

    assert output.out == ""
    assert "survey of /data: started run [1]" in output.err
    assert "7 of 1,000" in output.err
    assert "list files" in output.err
    assert "combine" not in output.err


def test_programs_are_shown_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json`, stderr is for failures alone."""
    with display_for(as_json=True) as display:
        display.say("x")
        display.show(progress(analyse=(1, 2)))

    assert isinstance(display, Silence)
    assert capsys.readouterr() == ("", "")


def test_who_reads_stderr_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets the picture, a file or pipe the lines."""
    assert isinstance(display_for(as_json=False), Lines)

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    assert isinstance(display_for(as_json=False), Picture)
