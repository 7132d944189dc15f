"""What resources hold is seen as text; what cannot be seen is named."""

from __future__ import annotations

import enum
import io
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from attrs import define, frozen

from fairlead.hosts.simulation.effects import state_of


class Colour(enum.Enum):
    """Of a thing."""

    RED = 1


@define
class Thing:
    """What a fake holds."""

    value: object


@frozen
class Frozen:
    """What a fake is made with."""

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
        (io.StringIO("sent"), "'sent'"),
        (io.BytesIO(b"sent"), "b'sent'"),
        (SimpleNamespace(), "namespace()"),
        (Bare(), "<Bare>"),
    ],
)
def test_values_are_seen(value: Any, text: str) -> None:
    """Those without attributes as they are written; what serves the code itself only by its type."""
    state = state_of({"held": Thing(value)}, "a run")

    assert state.values["held.value"] == text
    assert state.unseen == []


class Shared:
    """A fake whose state is its class's."""

    taken: ClassVar[list[int]] = []
    total = 0

    def take(self) -> None:
        """Remember it there."""
        self.taken.append(1)
        type(self).total += 1
        SENT.append("taken")


SENT: list[str] = []


def _send() -> None:
    SENT.append("sent")


def _send_by_another() -> None:
    _send()


def _closing() -> Callable[[], None]:
    rows: list[int] = []

    def add() -> None:
        rows.append(1)

    return add


class Closing:
    """A fake whose method is a function over a list."""

    def __init__(self) -> None:
        self.add = _closing()


class Box(dict[str, int]):
    """A container with attributes."""

    log: list[int]


def _fill(box: Box) -> None:
    box.log.append(1)


def _box() -> Box:
    box = Box()
    box.log = []
    return box


KEEPING: list[tuple[Callable[[], Any], Callable[[Any], object], str]] = [
    (Shared, lambda fake: fake.take(), "fake.taken"),
    (Shared, lambda fake: fake.take(), "fake.total"),
    (Shared, lambda fake: fake.take(), "fake.take.SENT"),
    (lambda: Shared, lambda fake: fake().take(), "fake.taken"),
    (lambda: _send, lambda fake: fake(), "fake.SENT"),
    (lambda: _send_by_another, lambda fake: fake(), "fake._send.SENT"),
    (lambda: partial(_send), lambda fake: fake(), "fake.SENT"),
    (lambda: Thing(Thing(Thing(Thing(Thing(Thing(_send)))))), lambda _: _send(), f"fake{'.value' * 6}.SENT"),
    (lambda: Shared().take, lambda fake: fake(), "fake.__self__.taken"),
    (_closing, lambda fake: fake(), "fake.rows"),
    (Closing, lambda fake: fake.add(), "fake.add.rows"),
    (lambda: list[int]().append, lambda fake: fake(1), "fake.__self__"),
    (_box, _fill, "fake.log"),
]


@pytest.mark.parametrize(("make", "act", "place"), KEEPING)
def test_what_code_remembers_is_seen(make: Callable[[], Any], act: Callable[[Any], None], place: str) -> None:
    """Attributes of classes, variables that functions close over, globals that they name."""
    fake = make()
    before = state_of({"fake": fake}, "a run")
    act(fake)
    after = state_of({"fake": fake}, "a run")

    assert (before.unseen, after.unseen) == ([], [])
    assert before.values[place] != after.values[place]


CLOSED: list[Callable[[], Any]] = [
    lambda: Random(1),
    lambda: iter([1]),
    threading.local,
    lambda: (each for each in [1]),
    SimpleQueue[int],
]


@pytest.mark.parametrize("make", CLOSED)
def test_what_is_not_written_in_python_is_named(make: Callable[[], Any]) -> None:
    """It may hold anything, whatever attributes it shows; what it says of itself in angle brackets is not all."""
    fake = make()
    kind = fake.__class__

    assert state_of({"fake": fake}, "a run").unseen == [f"fake, a {kind.__module__}.{kind.__qualname__}"]


@pytest.mark.parametrize(
    "fake", [Mock(), Path, Decimal, Thing([]), _closing, logging.getLogger(), ValueError("no"), Frozen(1)]
)
def test_what_installed_code_keeps_is_its_own(fake: object) -> None:
    """Nobody is warned of what Python and packages remember."""
    assert state_of({"fake": fake}, "a run").unseen == []


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
