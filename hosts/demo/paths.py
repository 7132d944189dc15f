"""Paths as text: file names are bytes, payloads are JSON, and nothing may be lost between the two."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|(\\)|)")


def path_text(path: bytes) -> str:
    r"""Return a path as printable text from which `path_bytes` makes the same path again.

    Whatever is no UTF-8, or would not show on a screen, is written `\xNN` byte by byte, and a backslash twice.
    """
    text = path.replace(b"\\", rb"\\").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(map(_printable, text))


def path_bytes(text: str) -> bytes:
    r"""Return the path that `path_text` wrote as `text`.

    Raises:
        ValueError: a backslash begins no `\xNN` and is not doubled.
    """
    return _ESCAPE.sub(_unescaped, text.encode())


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def _unescaped(escape: re.Match[bytes]) -> bytes:
    digits, backslash = escape.groups()
    if digits:
        return bytes.fromhex(digits.decode())
    if backslash:
        return b"\\"
    raise ValueError(rf"the backslash at {escape.start()} is neither doubled nor followed by xNN in {escape.string!r}")
