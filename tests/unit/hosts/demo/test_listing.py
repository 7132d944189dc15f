"""Listing a folder: every regular file once, in one order, and an account of everything else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fairlead.hosts.demo.listing import Listing, list_folder
from fairlead.hosts.demo.paths import path_bytes


def listed(folder: Path, *leave_out: str, report: bytes = b"/elsewhere") -> Listing:
    return list_folder(os.fsencode(folder), leave_out=list(leave_out), report=report)


def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    """Nothing is found where nothing is."""
    assert listed(tmp_path) == Listing(files=[], links=0, special=0, closed=[], left_out=[])


def test_every_regular_file_is_listed_once_in_order_of_bytes(tmp_path: Path) -> None:
    """All levels and all names, in the order of their bytes, not of the file system or the language."""
    names = [b"Z", b"a", b"caf\xe9", "ä".encode(), b"a b/c\\d", b"a b/.hidden", b"deep/er/est/x", b"a!"]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass

    assert [path_bytes(text) for text in listed(tmp_path).files] == sorted(names)


def test_links_and_special_files_are_counted_and_not_entered(tmp_path: Path) -> None:
    """Links to files, to folders, to nowhere and to an ancestor are links; pipes and sockets are special."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "to_file").symlink_to("real/file")
    (tmp_path / "to_folder").symlink_to("real")
    (tmp_path / "to_nowhere").symlink_to("missing")
    (tmp_path / "real" / "loop").symlink_to("..")
    os.mkfifo(tmp_path / "pipe")
    place = os.getcwd()
    os.chdir(tmp_path)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("socket")
    finally:
        os.chdir(place)

    assert listed(tmp_path) == Listing(files=["real/file"], links=4, special=2, closed=[], left_out=[])


def test_folders_are_left_out_by_name_and_said_to_be(tmp_path: Path) -> None:
    """Patterns are for names of folders, at any depth; files of such names stay."""
    for name in (".git/config", "src/.venv/python", "src/node_modules/x", "src/main.py", ".gitignore"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    found = listed(tmp_path, ".*", "node_modules")

    assert found.files == [".gitignore", "src/main.py"]
    assert found.left_out == [".git", "src/.venv", "src/node_modules"]


def test_the_report_is_no_part_of_what_it_reports_on(tmp_path: Path) -> None:
    """An earlier report of this survey is not surveyed; a file of the same name elsewhere is."""
    for name in ("report.md", "sub/report.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    assert listed(tmp_path, report=os.fsencode(tmp_path / "report.md")).files == ["sub/report.md"]


def test_a_closed_folder_is_named_and_the_rest_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder that cannot be read hides only what is in it."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("x")
    scandir = os.scandir

    def refusing(path: bytes) -> object:
        if path.endswith(b"closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = listed(tmp_path)

    assert (found.files, found.closed) == (["open/file"], ["closed"])


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The root itself must be readable: a survey of nothing would look like an empty folder."""
    with pytest.raises(FileNotFoundError):
        listed(tmp_path / "missing")
