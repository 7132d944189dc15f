"""Which files a folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch

from attrs import field, frozen

from .paths import path_text


@frozen(kw_only=True)
class Listing:
    """What was found below a folder. Paths are relative to it, as `path_text` writes them."""

    files: list[str]
    """Every regular file, in the order of their paths' bytes."""
    links: int
    """Symbolic links, which are not followed."""
    special: int
    """Sockets, pipes and devices."""
    closed: list[str]
    """Folders that could not be read."""
    left_out: list[str]
    """Folders that the request left out."""


@frozen
class _Found:
    files: list[bytes] = field(factory=list[bytes])
    links: list[bytes] = field(factory=list[bytes])
    special: list[bytes] = field(factory=list[bytes])
    closed: list[bytes] = field(factory=list[bytes])
    left_out: list[bytes] = field(factory=list[bytes])


def list_folder(folder: bytes, *, leave_out: list[str], report: bytes) -> Listing:
    """List a folder and everything below it.

    Args:
        folder: an absolute path.
        leave_out: patterns (`.*`, `node_modules`) for the names of folders that are not entered.
        report: the file that the survey writes; it is no part of what is surveyed.

    Raises:
        OSError: `folder` itself cannot be read.
    """
    found = _Found()
    waiting = [b""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(os.path.join(folder, inside)) as entries:
                waiting.extend(_sorted_into(found, inside, entries, leave_out))
        except OSError:
            if not inside:
                raise
            found.closed.append(inside)
    return Listing(
        files=_texts(path for path in found.files if os.path.join(folder, path) != report),
        links=len(found.links),
        special=len(found.special),
        closed=_texts(found.closed),
        left_out=_texts(found.left_out),
    )


def _sorted_into(
    found: _Found, inside: bytes, entries: Iterator[os.DirEntry[bytes]], leave_out: list[str]
) -> Iterator[bytes]:
    """File the entries of one folder under what they are, and yield the folders to enter."""
    for entry in entries:
        path = os.path.join(inside, entry.name)
        if entry.is_symlink():
            found.links.append(path)
        elif entry.is_dir(follow_symlinks=False):
            if any(fnmatch(path_text(entry.name), pattern) for pattern in leave_out):
                found.left_out.append(path)
            else:
                yield path
        elif entry.is_file(follow_symlinks=False):
            found.files.append(path)
        else:
            found.special.append(path)


def _texts(paths: Iterator[bytes] | list[bytes]) -> list[str]:
    return [path_text(path) for path in sorted(paths)]
