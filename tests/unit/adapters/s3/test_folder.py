"""Blobs as files: their names, what is on the disk when, and what a crash leaves behind."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.s3 import BlobsRefused, FolderBlobs, folder_blobs
from fairlead.adapters.s3.folder_names import path_of, segment_of
from fairlead.ports.blobs import KEY_LENGTH_MAX, SEGMENT_LENGTH_MAX
from fairlead.ports.errors import AdapterError, Unavailable

SEGMENTS = st.from_regex(rf"[A-Za-z0-9._-]{{1,{SEGMENT_LENGTH_MAX}}}", fullmatch=True).filter(
    lambda segment: segment not in (".", "..")
)
KEYS = st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join).filter(lambda key: len(key) <= KEY_LENGTH_MAX)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    """An empty store."""
    return folder_blobs(tmp_path / "blobs")


def files(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a", "a"),
        ("runs/7/report.json", "runs+/7+/report.json"),
        ("runs/7/Report.JSON", "runs+/7+/report.json=781"),
        ("A/a", "a=1+/a"),
    ],
)
def test_files_are_named_readably(key: str, name: str) -> None:
    """A person who looks into the folder finds a run's payloads."""
    assert path_of(key).as_posix() == name


@given(KEYS)
def test_a_name_tells_its_key(key: str) -> None:
    """In lower case, and short enough for every file system."""
    path = path_of(key)

    assert "".join(segment_of(name) or "?" for name in path.parts) == key
    assert path.as_posix() == path.as_posix().lower()
    assert max(map(len, path.parts)) <= 255


@given(st.text(st.sampled_from("aA.-_=+~01f /"), max_size=12))
def test_a_name_that_no_key_has_stands_for_none(name: str) -> None:
    """So that no two names stand for one key."""
    segment = segment_of(name)

    assert segment is None or path_of(segment.removesuffix("/") + "/x" * segment.endswith("/")).parts[0] == name


async def test_files_that_are_no_blobs_are_not_listed(blobs: FolderBlobs, tmp_path: Path) -> None:
    """Whatever somebody put there."""
    await blobs.put("runs/1", b"data")
    for name in ("README.TXT", "a=0", "a~", "~new/abc", "runs+/x y"):
        (tmp_path / "blobs" / name).write_bytes(b"")
    (tmp_path / "blobs" / "folder").mkdir()

    assert [info.key async for info in blobs.list()] == ["runs/1"]


async def test_a_blob_has_its_name_once_it_is_on_the_disk(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data first, then its name, then the folder that holds the name: a power failure leaves all or nothing."""
    await blobs.put("runs/0/first", b"")
    done: list[str] = []

    def noted(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            done.append(name)
            return work(*arguments)

        return call

    for name in ("fsync", "link", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    await blobs.put("runs/0/second", b"data")
    created = list(done)
    done.clear()
    await blobs.put("runs/0/second", b"other", if_absent=False)

    assert created == ["fsync", "link", "fsync"]
    assert done == ["fsync", "replace", "fsync"]


CRASHING = """
import asyncio, os, signal, sys
from fairlead.adapters.s3 import folder_blobs
folder, point, if_absent = sys.argv[1:]
setattr(os, point, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
asyncio.run(folder_blobs(folder).put("runs/1", b"x" * 1000, if_absent=if_absent == "True"))
"""


@pytest.mark.fault(10, 60)
@pytest.mark.parametrize(("point", "if_absent"), [("fsync", True), ("link", True), ("replace", False)])
async def test_a_killed_writer_leaves_no_half_blob(
    blobs: FolderBlobs, tmp_path: Path, point: str, if_absent: bool
) -> None:
    """Wherever it is struck: the key is free, or has what it had."""
    if not if_absent:
        await blobs.put("runs/1", b"before")
    folder = tmp_path / "blobs"
    words = [sys.executable, "-c", CRASHING, str(folder), point, str(if_absent)]

    killed = await asyncio.to_thread(subprocess.run, words, check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert await blobs.has("runs/1") is not if_absent
    await blobs.put("runs/1", b"after", if_absent=if_absent)
    assert await blobs.get("runs/1") == b"after"


@pytest.mark.fault(10)
async def test_what_killed_writers_left_is_removed_after_a_day(blobs: FolderBlobs, tmp_path: Path) -> None:
    """And not what somebody is still writing."""
    staging = tmp_path / "blobs" / "~new"
    staging.mkdir(parents=True)
    for name, age_s in (("old", 90_000), ("young", 80_000)):
        (staging / name).write_bytes(b"half")
        written_at = (staging / name).stat().st_mtime - age_s
        os.utime(staging / name, (written_at, written_at))

    await blobs.put("key", b"data")

    assert files(tmp_path / "blobs") == ["key", "~new/young"]


async def test_folders_go_with_their_last_blob(blobs: FolderBlobs, tmp_path: Path) -> None:
    """Ten thousand pruned runs leave no ten thousand folders."""
    await blobs.put("runs/1/a", b"")
    await blobs.put("runs/2/a", b"")

    await blobs.delete("runs/1/a")

    assert sorted(path.name for path in (tmp_path / "blobs" / "runs+").iterdir()) == ["2+"]
    await blobs.delete("runs/2/a")
    assert sorted(path.name for path in (tmp_path / "blobs").iterdir()) == ["~new"]


async def test_a_folder_that_vanishes_while_a_blob_is_named_is_made_again(
    blobs: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may delete the last blob of a folder in which another appears."""
    link = os.link
    vanishing = [tmp_path / "blobs" / "runs+"]

    def link_later(source: Path, target: Path) -> None:
        if vanishing:
            vanishing.pop().rmdir()
        link(source, target)

    monkeypatch.setattr(os, "link", link_later)

    await blobs.put("runs/1", b"data")

    assert await blobs.get("runs/1") == b"data"


TROUBLES = {
    "full": (errno.ENOSPC, Unavailable, True),
    "failing": (errno.EIO, Unavailable, True),
    "forbidden": (errno.EACCES, BlobsRefused, False),
    "read-only": (errno.EROFS, BlobsRefused, False),
    "without hard links": (errno.EPERM, BlobsRefused, False),
    "anything else": (errno.ELOOP, AdapterError, False),
}


@pytest.mark.fault(35)
@pytest.mark.parametrize(("number", "error", "retryable"), TROUBLES.values(), ids=TROUBLES)
async def test_the_disk_s_troubles_are_told_apart(
    blobs: FolderBlobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[AdapterError],
    retryable: bool,
) -> None:
    """With the folder named; and nothing half is left behind."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)

    with pytest.raises(error) as caught:
        await blobs.put("key", b"data")

    assert (type(caught.value), caught.value.retryable) == (error, retryable)
    assert str(tmp_path) in str(caught.value)
    assert files(tmp_path) == []


async def test_a_file_in_the_folder_s_place_is_an_error(tmp_path: Path) -> None:
    """Not a store without blobs."""
    (tmp_path / "file").write_bytes(b"")
    blobs = folder_blobs(tmp_path / "file")

    with pytest.raises(AdapterError):
        await blobs.put("key", b"")
    with pytest.raises(AdapterError):
        await blobs.get("key")
    with pytest.raises(AdapterError):
        [info async for info in blobs.list()]
