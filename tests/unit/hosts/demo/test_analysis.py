"""Analysing a file: compared with what Python's own reading of it says."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.hosts.demo import analysis
from fairlead.hosts.demo.analysis import FileAnalysis, Unmeasurable, analyse_file
from fairlead.hosts.demo.languages import language_of


def analysed(path: Path) -> FileAnalysis:
    return analyse_file(os.fsencode(path.parent), path.name)


def expected_counts(text: str) -> tuple[int, int, int]:
    """Lines, words and the longest line, counted in another way: on the whole decoded text."""
    lines = text.removesuffix("\n").split("\n") if text else []
    return len(lines), len(text.encode().split()), max((len(line.replace("\r", "")) for line in lines), default=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "one",
        "one\n",
        "one two\nthree\n\n  four",
        "windows\r\nends\r\n",
        "größer als\n日本語 です\n",
        "tab\tvertical\vform\ffeed",
        "\n\n\nx",
        " leading and trailing ",
        "\r",
    ],
)
def test_text_is_counted(tmp_path: Path, text: str) -> None:
    """Lines, words, characters of the longest line, size and digest are those of the text."""
    path = tmp_path / "file.txt"
    path.write_bytes(text.encode())

    found = analysed(path)

    assert (found.lines, found.words, found.longest_line) == expected_counts(text)
    assert (found.size_bytes, found.language) == (len(text.encode()), "Plain text")
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()


@given(text=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=80), chunk_bytes=st.integers(1, 9))
def test_where_chunks_end_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk_bytes: int
) -> None:
    """Words, lines and characters that lie across two chunks count as one."""
    path = tmp_path_factory.mktemp("chunks") / "file.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis, "CHUNK_BYTES", chunk_bytes)

        found = analysed(path)

    assert (found.lines, found.words, found.longest_line) == expected_counts(text)


def test_a_huge_file_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read asks for more than a chunk, and a line of many chunks is one line."""
    path = tmp_path / "big.txt"
    line = b"x" * (3 * analysis.CHUNK_BYTES + 17)
    path.write_bytes(b"short\n" + line)
    sizes: list[int] = []
    sha256 = hashlib.sha256

    class Watching:
        def __init__(self) -> None:
            self._digest = sha256()

        def update(self, data: bytes) -> None:
            sizes.append(len(data))
            self._digest.update(data)

        def hexdigest(self) -> str:
            return self._digest.hexdigest()

    monkeypatch.setattr(hashlib, "sha256", Watching)
    found = analysed(path)

    assert max(sizes) == analysis.CHUNK_BYTES
    assert (found.lines, found.longest_line, found.size_bytes) == (2, len(line), len(line) + 6)
    assert found.sha256 == sha256(b"short\n" + line).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "language"),
    [
        ("data", b"a\0b\n", "Binary data"),
        ("data.py", b"\0\0", "Binary data"),
        ("x.tar.gz", b"no NUL in here", "Archive"),
        ("x.png", b"\x89PNG\r\n", "Image"),
    ],
)
def test_binary_data_have_a_digest_and_no_lines(tmp_path: Path, name: str, content: bytes, language: str) -> None:
    """What is no text is measured as bytes alone."""
    path = tmp_path / name
    path.write_bytes(content)

    assert analysed(path) == FileAnalysis(
        path=name,
        language=language,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("gone", "No such file or directory"),
        ("file/under", "Not a directory"),
        ("link", "it is a symbolic link now"),
        ("pipe", "it is no regular file any more"),
    ],
)
def test_what_vanished_cannot_be_measured(tmp_path: Path, path: str, reason: str) -> None:
    """Gone, its folder replaced by a file, a link in its place: listed, and not there any more."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(Unmeasurable, match=f"^{path}: {reason}$"):
        analyse_file(os.fsencode(tmp_path), path)


def test_a_closed_file_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with its name and the system's reason."""

    def refuse(path: bytes, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unmeasurable, match=r"^x: Permission denied$"):
        analysed(tmp_path / "x")


def test_a_machine_short_of_handles_is_no_property_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes is raised, so that the task is tried again."""

    def refuse(path: bytes, flags: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        analysed(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "start", "language"),
    [
        ("a.py", b"", "Python"),
        ("A.PY", b"", "Python"),
        ("Makefile", b"all:", "Makefile"),
        ("makefile.am", b"", "Plain text"),
        ("run", b"#!/usr/bin/env python3\n", "Python"),
        ("run", b"#!/usr/bin/env -S python3 -u\n", "Python"),
        ("run", b"#! /bin/sh\n", "Shell"),
        ("run", b"#!/usr/bin/perl -w", "Perl"),
        ("run", b"#!/opt/odd/interpreter", "Plain text"),
        ("run.py", b"#!/bin/sh", "Python"),
        (".bashrc", b"", "Shell"),
        (".py", b"", "Plain text"),
        ("copyright", b"Format: https://", "Plain text"),
        ("a.rs", b"fn \xff\xfe", "Rust"),
    ],
)
def test_languages_are_told_by_name_extension_or_interpreter(name: str, start: bytes, language: str) -> None:
    """The name decides before the extension, the extension before the first line."""
    assert language_of(name, start) == language
