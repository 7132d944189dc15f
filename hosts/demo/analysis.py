"""What there is to say about one file."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator

from attrs import define, frozen

from .languages import is_binary, language_of
from .paths import path_bytes

CHUNK_BYTES = 1 << 20
"""Read at once, so that a file of any size takes this much memory."""

START_BYTES = 8_192
"""Looked at to tell text from binary data, and for the line that names an interpreter."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""The machine is short of something for a moment, which says nothing about the file."""

_OTHER_THAN_CHARACTERS = bytes(range(0x80, 0xC0)) + b"\r"
"""Continuation bytes of UTF-8, so that what remains is one byte per character; and half of a line's end."""

_WHITESPACE = b" \t\n\r\v\f"


@frozen(kw_only=True)
class FileAnalysis:
    """One file. Of binary data no text was counted."""

    path: str
    language: str
    size_bytes: int
    sha256: str
    lines: int | None = None
    words: int | None = None
    longest_line: int | None = None
    """In characters, its end not included."""


class Unmeasurable(Exception):
    """A file that cannot be read, or is gone or something else by now; looking again would not help."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")


def analyse_file(folder: bytes, path: str) -> FileAnalysis:
    """Read a file once, from its start to its end, and measure it.

    Args:
        folder: the surveyed folder.
        path: relative to it, as `path_text` writes it.

    Raises:
        Unmeasurable: it cannot be read.
        OSError: the machine has no file handle or memory left; a later attempt may fare better.
    """
    try:
        descriptor = os.open(os.path.join(folder, path_bytes(path)), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unmeasurable(path, "it is no regular file any more")
            return _measured(path, iter(lambda: file.read(CHUNK_BYTES), b""))
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise
        linked = error.errno == errno.ELOOP
        raise Unmeasurable(path, "it is a symbolic link now" if linked else _reason(error)) from error


def _measured(path: str, chunks: Iterator[bytes]) -> FileAnalysis:
    name = path.rpartition("/")[2]
    digest = hashlib.sha256()
    text = _TextMeasure()
    size_bytes = 0
    start = b""
    for chunk in chunks:
        start = start or chunk[:START_BYTES]
        size_bytes += len(chunk)
        digest.update(chunk)
        if not is_binary(name, start):
            text.take(chunk)
    binary = is_binary(name, start)
    return FileAnalysis(
        path=path,
        language=language_of(name, start),
        size_bytes=size_bytes,
        sha256=digest.hexdigest(),
        lines=None if binary else text.lines + text.in_line,
        words=None if binary else text.words,
        longest_line=None if binary else max(text.longest_line, text.open_line),
    )


@define
class _TextMeasure:
    """Counts in text that arrives in pieces, which may end within a word, a line or a character."""

    lines: int = 0
    """Ended lines."""
    words: int = 0
    longest_line: int = 0
    """Among the ended ones."""
    open_line: int = 0
    """Characters since the last line's end."""
    in_word: bool = False
    in_line: bool = False

    def take(self, chunk: bytes) -> None:
        """Count one more piece."""
        words = len(chunk.split())
        begins_within = self.in_word and chunk[:1] not in _WHITESPACE
        self.words += words - begins_within
        self.in_word = chunk[-1:] not in _WHITESPACE
        self.in_line = chunk[-1:] != b"\n"
        first, *others = chunk.translate(None, _OTHER_THAN_CHARACTERS).split(b"\n")
        self.open_line += len(first)
        if others:
            self.lines += len(others)
            self.longest_line = max(self.longest_line, self.open_line, *map(len, others[:-1]))
            self.open_line = len(others[-1])


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
