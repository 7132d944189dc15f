"""What resources hold is seen as text; what cannot be seen is named."""

from __future__ import annotations

import enum
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import define

from fairlead.hosts.simulation.effects import state_of


class Colour(enum.Enum):
    """Of a thing."""

    RED = 1


@define
class Thing:
    """What a fake holds."""

    value: object


class Bare:
    """Nothing is held."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("3.50"), "Decimal('3.50')"),
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"),
        (Colour.RED, "<Colour.RED: 1>"),
        ([2, 1], "[1, 2]"),
        (threading.Lock(), "<lock>"),
        (print, "<builtin_function_or_method>"),
        (Bare(), "<Bare>"),
    ],
)
def test_values_are_seen(value: Any, text: str) -> None:
    """Those without attributes as they are written; what serves the code itself only by its type."""
    state = state_of({"held": Thing(value)}, "a run")

    assert state.values["held.value"] == text
    assert state.unseen == []


def test_what_cannot_be_seen_is_named() -> None:
    """By where it is held, also in a list, and by its type; each place once. So is what lies too deep."""
    bottom = Bare()
    bottom.__dict__["value"] = 1
    with closing(sqlite3.connect(":memory:")) as one, closing(sqlite3.connect(":memory:")) as other:
        held = {"pool": Thing([one, other]), "deep": Thing(Thing(Thing(Thing(Thing(Thing(bottom))))))}
        state = state_of(held, "a run")

    assert state.unseen == [
        "pool.value[…], a sqlite3.Connection",
        f"deep{'.value' * 6}, a {__name__}.Bare",
    ]
