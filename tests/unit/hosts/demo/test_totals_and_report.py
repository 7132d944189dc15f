"""Adding up, and the report: complete, the same every time, and never half there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from attrs import asdict, evolve

from fairlead.hosts.demo.analysis import FileAnalysis
from fairlead.hosts.demo.listing import Listing
from fairlead.hosts.demo.report import Survey, json_report, markdown_report, write_file
from fairlead.hosts.demo.totals import Duplicates, LanguageTotals, total


def analysis(path: str, *, sha256: str = "", size: int = 10, language: str = "Python") -> FileAnalysis:
    return FileAnalysis(
        path=path,
        language=language,
        size_bytes=size,
        sha256=sha256 or f"digest of {path}",
        lines=2,
        words=4,
        longest_line=7,
    )


BINARY = FileAnalysis(path="x.gz", language="Archive", size_bytes=5, sha256="gz")
FILES = [
    analysis("a.py", sha256="same"),
    analysis("b.py", sha256="same"),
    BINARY,
    None,
    analysis("e1", sha256="empty", size=0),
    analysis("e2", sha256="empty", size=0),
    None,
    analysis("z|`.py\\x0a```", sha256="same"),
]
PATHS = ["a.py", "b.py", "x.gz", "closed", "e1", "e2", "gone", "z|`.py\\x0a```"]
MEASURED = [each for each in FILES if each is not None]


def survey() -> Survey:
    listing = Listing(files=PATHS, links=3, special=1, closed=["shut"], left_out=[".git"])
    return Survey(folder="/data", listing=listing, totals=total(FILES), files=iter(FILES))


def test_nothing_adds_up_to_nothing() -> None:
    """An empty folder has totals too."""
    totals = total([])

    assert (totals.files, totals.lines, totals.languages, totals.duplicates) == (0, 0, [], [])


def test_every_file_is_counted_where_it_belongs() -> None:
    """Measured files and those that could not be read are all files; binary data have no lines. One pass is enough."""
    totals = total(iter(FILES))

    assert (totals.files, totals.measured, totals.unread, totals.empty) == (8, 6, 2, 2)
    assert (totals.size_bytes, totals.lines, totals.words) == (35, 10, 20)
    assert totals.languages == [
        LanguageTotals(language="Python", files=5, size_bytes=30, lines=10, words=20),
        LanguageTotals(language="Archive", files=1, size_bytes=5, lines=0, words=0),
    ]


def test_duplicates_are_files_with_one_content() -> None:
    """Groups by digest, what wastes most first; empty files and files without a digest are none."""
    more = [analysis("m", sha256="more", size=500), analysis("n", sha256="more", size=500)]
    totals = total([*FILES, *more])

    assert totals.duplicates == [
        Duplicates(sha256="more", size_bytes=500, paths=["m", "n"]),
        Duplicates(sha256="same", size_bytes=10, paths=["a.py", "b.py", "z|`.py\\x0a```"]),
    ]
    assert totals.wasted_bytes == 520


def test_the_json_report_holds_everything() -> None:
    """Each file with all its measures, in order, and the same lines every time."""
    lines = list(json_report(survey()))
    report = json.loads("\n".join(lines))

    assert report["files"] == [asdict(each) for each in MEASURED]
    assert report["unread"] == ["closed", "gone"]
    assert (report["folder"], report["links"], report["closed"], report["totals"]["files"]) == ("/data", 3, ["shut"], 8)
    assert lines == list(json_report(survey()))


def test_the_json_report_of_nothing_is_json() -> None:
    """An empty list has no comma."""
    listing = Listing(files=[], links=0, special=0, closed=[], left_out=[])
    nothing = Survey(folder="/data", listing=listing, totals=total([]), files=[])

    assert json.loads("\n".join(json_report(nothing)))["files"] == []


def test_the_markdown_report_names_every_file_once() -> None:
    """A line for each file that was measured, odd names included, and a section for the others."""
    text = "\n".join(markdown_report(survey())) + "\n"
    section = text.partition("## Files")[2]
    body = section.split("```text\n")[1].split("\n```\n")[0].splitlines()

    assert len(body) == len(MEASURED)
    assert all(line.endswith(each.path) for line, each in zip(body, MEASURED, strict=True))
    assert "not read       closed\nnot read       gone\n" in text
    assert "closed folder  shut" in text
    assert "left out       .git" in text
    assert "| Python | 5 | 10 | 20 | 30 |" in text
    assert text.endswith("```\n\n")


def test_a_survey_that_lacks_files_is_no_report() -> None:
    """Whatever is listed has its place: a list that is too short is a defect, not a report."""
    short = evolve(survey(), files=FILES[:-1])

    with pytest.raises(ValueError, match="shorter"):
        list(markdown_report(short))


def test_a_report_replaces_another_at_once(tmp_path: Path) -> None:
    """The old content is there until the new one is, and nothing else is left."""
    path = tmp_path / "report.md"
    path.write_text("old")

    write_file(os.fsencode(path), ["new"], staged=os.fsencode(tmp_path / ".staged"))

    assert path.read_bytes() == b"new\n"
    assert os.listdir(tmp_path) == ["report.md"]


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full half-way costs neither the old report nor a stray file."""
    path = tmp_path / "report.md"
    path.write_text("old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_file(os.fsencode(path), ["new"], staged=os.fsencode(tmp_path / ".staged"))

    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.md"]
