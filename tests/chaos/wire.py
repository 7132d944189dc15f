"""What passes through a connection of PostgreSQL: the server's messages one by one, and what is said of commits."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_WRITES = re.compile(rb"(INSERT INTO|UPDATE|DELETE FROM)\s+[\"a-z]")
"""What writes, wherever it stands in a statement: claims are SELECTs from CTEs that do. It leaves out FOR UPDATE."""


def begins_request(data: bytes) -> bool:
    """Whether a client's bytes begin with the text of a statement."""
    return data[:1] in (b"P", b"Q")


def writes(data: bytes) -> bool:
    """Whether there is a statement in a client's bytes that writes."""
    return _WRITES.search(data) is not None


class ServerStream:
    """Cuts what a server sends into messages, and follows whether a transaction is open.

    A server answers an SSLRequest with one bare byte, which is no message; everything else is one.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False
        self.in_transaction = False
        """Whether an explicit transaction is open, by the messages so far."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole messages, in their order."""
        self._buffer += data
        while message := self._take():
            yield message
            if message[:1] == b"Z":
                self.in_transaction = message[5:6] != b"I"
            elif _tag(message) == b"BEGIN":
                self.in_transaction = True

    def _take(self) -> bytes:
        if not self._begun and self._buffer.startswith(b"N"):
            self._begun = True
            del self._buffer[:1]
            return b"N"
        if len(self._buffer) < 5:
            return b""
        self._begun = True
        (length,) = struct.unpack_from("!i", self._buffer, 1)
        if len(self._buffer) <= length:
            return b""
        message = bytes(self._buffer[: length + 1])
        del self._buffer[: length + 1]
        return message


def confirms_commit(message: bytes) -> bool:
    """Whether this is the answer to a COMMIT that has been carried out."""
    return _tag(message) == b"COMMIT"


def is_ready(message: bytes) -> bool:
    """Whether the server waits for the next request: what it did without an explicit transaction is committed."""
    return message[:1] == b"Z"


def _tag(message: bytes) -> bytes:
    return message[5:-1] if message[:1] == b"C" else b""
