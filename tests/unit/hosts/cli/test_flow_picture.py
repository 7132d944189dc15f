"""A drawing on whatever stdout is: colours, encodings, widths."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys

import pytest

from fairlead.hosts.cli.flow_picture import print_picture
from fairlead.hosts.drawing import chart_of, draw_text
from tests.support.drawn_plans import INGEST

CODES = re.compile(r"\x1b\[[0-9;]*m")
CHART = chart_of(INGEST)


class Output(io.TextIOWrapper):
    """A stream of some encoding, which may be a terminal."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        self.raw_bytes = io.BytesIO()
        self._terminal = terminal
        super().__init__(self.raw_bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        """What was written."""
        return self.raw_bytes.getvalue().decode(self.encoding)


def printed(
    monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8", *, terminal: bool = False, columns: int = 200
) -> str:
    """The drawing as it reaches a stream."""
    output = Output(encoding, terminal=terminal)
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((columns, 50)))
    print_picture(CHART)
    return output.text


def test_a_pipe_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without colours, however wide."""
    assert printed(monkeypatch, columns=10) == draw_text(CHART)


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which take no room: without them it is the same drawing."""
    text = printed(monkeypatch, terminal=True)

    assert CODES.sub("", text) == draw_text(CHART)
    assert "\x1b[1m" in text


def test_an_encoding_without_boxes_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than an error half-way."""
    assert printed(monkeypatch, "ascii") == draw_text(CHART, ascii_only=True)
    assert printed(monkeypatch, "latin-1") == draw_text(CHART, ascii_only=True)


def test_a_narrow_terminal_gets_less(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """First types and policies are left out; where that is not enough, the ways to see it all are told."""
    brief = draw_text(CHART.brief)
    room = max(map(len, brief.splitlines()))

    assert room < max(map(len, draw_text(CHART).splitlines()))
    assert CODES.sub("", printed(monkeypatch, terminal=True, columns=room)) == brief
    assert capsys.readouterr().err == ""
    assert CODES.sub("", printed(monkeypatch, terminal=True, columns=room - 1)) == brief
    said = capsys.readouterr().err
    assert f"the drawing has {room} columns and the terminal {room - 1}" in said
    assert "less -S" in said
