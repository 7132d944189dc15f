"""Columns of values arrive as they were given, and what cannot be stored is refused before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.adaptation import adapt
from fairlead.adapters.postgres.arrays import Column, documents, flags, ints, texts, times, uuids
from fairlead.ports.errors import UnstorableValue

ID = "0197f000-0000-7000-8000-00000000000a"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("encode", "values"),
    [
        (texts, ["a", None, "", "ü€𝄞", 'quote " comma , {brace} \\ NULL']),
        (texts, []),
        (texts, [None, None]),
        (ints, [0, 1, -1, 2**31 - 1, -(2**31)]),
        (ints, [None, 7]),
        (ints, []),
        (flags, [True, False]),
        (times, [NOON, None, NOON, NOON + timedelta(microseconds=1), datetime(9999, 12, 31, tzinfo=UTC)]),
        (times, [datetime(1, 1, 1, tzinfo=UTC)]),
        (documents, [b'{"a" : 1e22, "b": -0.0}', None, '["ü"]'.encode()]),
        (documents, []),
    ],
)
async def test_a_column_comes_back_as_it_was_sent(
    url: str, encode: Callable[[Any], Column], values: list[object]
) -> None:
    """Every type of column, with nulls, without rows, and at its limits."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        adapt(connection)
        answer = await connection.execute("SELECT v FROM unnest(%s) AS v", [encode(values)], binary=True)
        found = [row[0] for row in await answer.fetchall()]

    assert found == values


async def test_run_ids_are_sent_as_uuids(url: str) -> None:
    """A column of ids, and an empty one."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        adapt(connection)
        answer = await connection.execute("SELECT v::text FROM unnest(%s) AS v", [uuids([ID, ID])], binary=True)
        found = [row[0] for row in await answer.fetchall()]
        empty = await (await connection.execute("SELECT v FROM unnest(%s) AS v", [uuids([])])).fetchall()

    assert (found, empty) == ([ID, ID], [])


async def test_times_of_other_zones_are_the_same_moments(url: str) -> None:
    """What is read is in UTC, whatever was written and whatever the session's time zone is."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    async with await psycopg.AsyncConnection.connect(url) as connection:
        adapt(connection)
        await connection.execute("SET TimeZone = 'Asia/Tokyo'")
        answer = await connection.execute("SELECT v FROM unnest(%s) AS v", [times([elsewhere])], binary=True)
        found = (await answer.fetchall())[0][0]

    assert (found, found.tzinfo) == (NOON, UTC)


@pytest.mark.parametrize(
    ("encode", "values"),
    [
        (texts, ["\ud800"]),
        (ints, [2**31]),
        (ints, [None, -(2**31) - 1]),
        (uuids, ["order-1"]),
        (uuids, [ID, ID[:-1]]),
        (uuids, [ID[:-2], ID + "00"]),
    ],
)
def test_what_cannot_be_stored_is_refused(encode: Callable[[Any], Column], values: list[object]) -> None:
    """Lone surrogates, integers beyond 32 bits, and ids that are none."""
    with pytest.raises(UnstorableValue):
        encode(values)


async def test_text_with_nul_is_refused_by_the_server(url: str) -> None:
    """It is the server that knows; the error is in the class that `UnstorableValue` stands for."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        adapt(connection)
        with pytest.raises(psycopg.DataError):
            await connection.execute("SELECT v FROM unnest(%s) AS v", [texts(["a\0b"])])
