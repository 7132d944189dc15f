"""What a handler notes is made fit to be stored, whatever it is; a call that is wrong is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel import Context, InvalidAnnotations, InvalidArgument, LogLevel
from fairlead.kernel.notes import (
    LOG_FIELDS_BYTES_MAX,
    LOG_MESSAGE_LENGTH_MAX,
    PROGRESS_MESSAGE_LENGTH_MAX,
    Entry,
    entry_of,
    message_of_progress,
)


class Heard:
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.noted: list[tuple[Any, ...]] = []

    def log(self, level: LogLevel, entry: Entry) -> None:
        """A log entry."""
        self.noted.append((level, entry.message, entry.fields))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """How far it is."""
        self.noted.append((done, total, message))

    def annotate(self, values: bytes) -> None:
        """Annotations."""
        self.noted.append((values,))


def context(heard: Heard | None = None) -> Context:
    """A context, as a host makes it, or as a unit test does."""
    more: dict[str, Any] = {} if heard is None else {"noting": heard}
    return Context(run_id="r", flow="f", step="s", idempotency_key="k", **more)


def test_what_is_noted_is_heard() -> None:
    """With its level, its fields in canonical form, numbers as numbers."""
    heard = Heard()
    ctx = context(heard)
    ctx.log("plain")
    ctx.log("full", level="warning", b=1, a=[True, None])
    ctx.progress(3)
    ctx.progress(0.5, 1, "half")
    ctx.annotate(b=1, a="x", c=None)
    ctx.annotate()

    assert heard.noted == [
        (LogLevel.INFO, "plain", None),
        (LogLevel.WARNING, "full", b'{"a":[true,null],"b":1}'),
        (3.0, None, None),
        (0.5, 1.0, "half"),
        (b'{"a":"x","b":1,"c":null}',),
    ]


def test_nobody_hears_a_context_of_a_unit_test() -> None:
    """What is wrong is refused there too."""
    ctx = context()
    ctx.log("plain", a=1)
    ctx.progress(1, 2)
    ctx.annotate(a=1)
    wrong: Any = "loud"

    with pytest.raises(InvalidArgument, match="level must be one of debug, info, warning, error"):
        ctx.log("plain", level=wrong)


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf"), True, "3", None, 10**400])
def test_progress_is_a_finite_number(number: Any) -> None:
    """At least 0; of a total, None says that there is none."""
    with pytest.raises(InvalidArgument, match="done must be a finite number of at least 0"):
        context().progress(number)
    if number is not None:
        with pytest.raises(InvalidArgument, match="total"):
            context().progress(1, number)


def test_annotations_are_scalars() -> None:
    """Every problem is listed."""
    wrong: Any = {"a": [1], "b": object(), "c": 1}
    with pytest.raises(InvalidAnnotations) as raised:
        context().annotate(**wrong)

    assert [path for path, _ in raised.value.problems] == ["$.a", "$.b"]


def test_what_is_too_long_is_cut() -> None:
    """The message, a field, and all fields together; text is cut as text."""
    message = entry_of("x" * (LOG_MESSAGE_LENGTH_MAX + 1), {})
    field = entry_of("m", {"long": "\u00e9" * 10_000, "list": list(range(10_000)), "short": 1})
    many = entry_of("m", {f"f{number}": "x" * 500 for number in range(100)})
    fields = json.loads(field.fields or b"")

    assert (len(message.message), message.cut) == (LOG_MESSAGE_LENGTH_MAX + 1, True)
    assert field.cut
    assert fields["short"] == 1
    assert fields["long"].endswith("\u00e9\u2026")
    assert fields["list"].startswith("[0,1,2")
    assert many.cut
    assert 10 < len(json.loads(many.fields or b"")) < 100
    assert not entry_of("m", {"a": "x" * 900}).cut
    assert (message_of_progress("x" * 1_000) or "")[PROGRESS_MESSAGE_LENGTH_MAX:] == "\u2026"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(message=st.text(), fields=st.dictionaries(st.text(), _json | st.binary() | st.complex_numbers()))
def test_whatever_is_noted_can_be_stored(message: str, fields: dict[str, Any]) -> None:
    """UTF-8 without NUL, within the bounds, JSON that reads back."""
    entry = entry_of(message, fields)
    stored = entry.fields or b"{}"

    assert "\0" not in entry.message
    assert entry.message.encode().decode() == entry.message
    assert b"\\u0000" not in stored
    assert len(stored) <= LOG_FIELDS_BYTES_MAX
    assert len(json.loads(stored)) <= len(fields)
