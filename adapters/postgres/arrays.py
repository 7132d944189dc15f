"""Columns of many rows as one binary array parameter each.

A batch is written by one `unnest` statement per table, however many rows it has. psycopg's own list adaptation
inspects each element; these encoders know the type beforehand, take payloads as bytes, and cost a third.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ...ports.errors import UnstorableValue

_HEAD = struct.Struct("!iiIii").pack
_LENGTH = struct.Struct("!i").pack
_LONG = struct.Struct("!iq").pack
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UUID_LENGTH = "00000010"

_BOOL, _INT, _TEXT, _JSON, _DOUBLE, _TIME, _UUID = 16, 23, 25, 114, 701, 1184, 2950


class Column:
    """An encoded array."""

    __slots__ = ("data",)
    array_oid: int = 0

    def __init__(self, data: bytes) -> None:
        self.data = data


class Flags(Column):
    """`boolean[]`."""

    __slots__ = ()
    array_oid = 1000


class Ints(Column):
    """`integer[]`."""

    __slots__ = ()
    array_oid = 1007


class Doubles(Column):
    """`double precision[]`."""

    __slots__ = ()
    array_oid = 1022


class Texts(Column):
    """`text[]`."""

    __slots__ = ()
    array_oid = 1009


class Documents(Column):
    """`json[]`."""

    __slots__ = ()
    array_oid = 199


class Times(Column):
    """`timestamptz[]`."""

    __slots__ = ()
    array_oid = 1185


class Uuids(Column):
    """`uuid[]`."""

    __slots__ = ()
    array_oid = 2951


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return obj.data


def register_columns(context: AdaptContext) -> None:
    """Teach a connection to send columns."""
    for column in (Flags, Ints, Doubles, Texts, Documents, Times, Uuids):
        dumper = type(f"{column.__name__}Dumper", (_ColumnDumper,), {"oid": column.array_oid})
        context.adapters.register_dumper(column, dumper)


def _head(count: int, oid: int) -> bytes:
    if not count:
        return struct.pack("!iiI", 0, 0, oid)
    return _HEAD(1, 1, oid, count, 1)


def texts(values: Sequence[str | None]) -> Texts:
    """A column of text. Most are names and statuses, of which a batch has few, so each distinct one is encoded once."""
    cells: dict[str | None, bytes] = {None: _NULL}
    try:
        for value in set(values):
            if value is not None:
                data = value.encode()
                cells[value] = _LENGTH(len(data)) + data
    except UnicodeEncodeError as error:  # recovers 53: a column is to hold text that is none
        raise UnstorableValue(f"text that is not Unicode: {error}") from error
    return Texts(_head(len(values), _TEXT) + b"".join([cells[value] for value in values]))


def documents(values: Sequence[bytes | None]) -> Documents:
    """A column of JSON texts, byte for byte."""
    cells = [_NULL if value is None else _LENGTH(len(value)) + value for value in values]
    return Documents(_head(len(cells), _JSON) + b"".join(cells))


def ints(values: Sequence[int | None]) -> Ints:
    """A column of integers of 32 bits."""
    head = _head(len(values), _INT)
    try:
        if None not in values:
            cells = [4] * (2 * len(values))
            cells[1::2] = values  # type: ignore[assignment]
            return Ints(head + struct.pack(f"!{len(cells)}i", *cells))
        return Ints(head + b"".join([_NULL if value is None else struct.pack("!ii", 4, value) for value in values]))
    except struct.error as error:
        raise UnstorableValue(f"an integer outside 32 bits: {error}") from error


def doubles(values: Iterable[float | None]) -> Doubles:
    """A column of floating-point numbers."""
    cells = [_NULL if value is None else struct.pack("!id", 8, value) for value in values]
    return Doubles(_head(len(cells), _DOUBLE) + b"".join(cells))


def flags(values: Iterable[bool]) -> Flags:
    """A column of truth values."""
    cells = [b"\0\0\0\1\1" if value else b"\0\0\0\1\0" for value in values]
    return Flags(_head(len(cells), _BOOL) + b"".join(cells))


def times(values: Sequence[datetime | None]) -> Times:
    """A column of moments. Most rows of a batch share theirs, so each distinct one is encoded once."""
    cells: dict[datetime | None, bytes] = {None: _NULL}
    for value in set(values):
        if value is not None:
            cells[value] = _LONG(8, (value - _EPOCH) // _MICROSECOND)
    return Times(_head(len(values), _TIME) + b"".join([cells[value] for value in values]))


def uuids(values: Sequence[str]) -> Uuids:
    """A column of run ids, given as canonical text."""
    if not values:
        return Uuids(_head(0, _UUID))
    try:
        data = bytes.fromhex(_UUID_LENGTH + _UUID_LENGTH.join(values).replace("-", ""))
    except ValueError as error:
        raise UnstorableValue("a run id that is not a UUID") from error
    if len(data) != 20 * len(values) or set(map(len, values)) != {36}:
        raise UnstorableValue("a run id that is not a UUID")
    return Uuids(_head(len(values), _UUID) + data)
