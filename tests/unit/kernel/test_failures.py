"""Whatever a handler raises can be recorded."""

from __future__ import annotations

import json
from json import JSONDecodeError

import pytest

from fairlead.kernel import GiveUp
from fairlead.kernel.failures import (
    FRAMES_MAX,
    MESSAGE_LENGTH_MAX,
    TRACEBACK_LENGTH_MAX,
    decode_failure,
    failure_of,
)


class Mute(Exception):
    """An exception whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def raised(error: BaseException) -> BaseException:
    """The exception with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def test_type_message_traceback_and_attempt_are_kept() -> None:
    """Behaviour 46: what is needed to understand the failure is on record."""
    failure = decode_failure(failure_of(raised(ValueError("too heavy")), attempt=2))

    assert (failure.type, failure.message, failure.attempt) == ("ValueError", "too heavy", 2)
    assert failure.traceback is not None
    assert "in raised" in failure.traceback


def test_what_users_import_from_fairlead_is_named_without_its_module() -> None:
    """Where it is defined is nobody's business; classes of others are named in full."""
    names = [
        decode_failure(failure_of(error)).type
        for error in (GiveUp("enough"), KeyError("x"), JSONDecodeError("", "", 0))
    ]

    assert names == ["GiveUp", "KeyError", "json.decoder.JSONDecodeError"]


def test_an_exception_without_text() -> None:
    """Behaviour 50: a `__str__` that raises does not hide the failure."""
    failure = decode_failure(failure_of(raised(Mute()), attempt=1))

    assert failure.type.endswith("Mute")
    assert "RuntimeError" in failure.message


class Exit(Exception):
    """An exception whose text ends the process."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Text(str):
    """Text that cannot be cut."""

    def __getitem__(self, key: object) -> str:
        raise RuntimeError("no slices")


class Odd(Exception):
    """An exception whose text is no plain text."""

    def __str__(self) -> str:
        return Text("odd" * 10_000)


class Nameless(type):
    """Classes without a name."""

    def __getattribute__(cls, name: str) -> object:
        if name == "__qualname__":
            raise RuntimeError("no name")
        return super().__getattribute__(name)


Unnamed = Nameless("Unnamed", (Exception,), {})


@pytest.mark.parametrize("error", [Exit(), Odd(), Unnamed("x")], ids=["exits", "odd", "nameless"])
def test_nothing_about_an_exception_is_trusted(error: BaseException) -> None:
    """Whatever it does while it is described, it is recorded, as itself and as a cause."""
    outer = raised(ValueError("outer"))
    outer.__cause__ = error

    assert decode_failure(failure_of(error, attempt=1)).message
    assert decode_failure(failure_of(outer, attempt=1)).message == "outer"


class Causeless(Exception):
    """An exception that does not say what caused it."""

    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        raise RuntimeError("no cause")


@pytest.mark.fault(55)
def test_a_traceback_that_cannot_be_made_hides_nothing() -> None:
    """Type, message and attempt are kept, and it says why the rest is missing."""
    failure = decode_failure(failure_of(raised(Causeless("odd")), attempt=2))

    assert (failure.type.rpartition(".")[2], failure.message, failure.attempt) == ("Causeless", "odd", 2)
    assert failure.traceback == "<the traceback could not be made: RuntimeError>"


def test_a_hundred_megabytes_of_text() -> None:
    """Behaviour 50: text is capped, and says so."""
    record = failure_of(raised(ValueError("x" * 100_000_000)), attempt=1)

    assert len(record) < MESSAGE_LENGTH_MAX + TRACEBACK_LENGTH_MAX
    assert "more characters" in decode_failure(record).message


def test_nul_and_lone_surrogates() -> None:
    """Behaviour 50: the record is JSON text that a database stores."""
    record = failure_of(raised(ValueError("a\0b\ud800c")), attempt=1)

    assert b"\\u0000" not in record
    assert json.loads(record)["message"] == "a␀b?c"


def test_a_recursion_bomb() -> None:
    """The traceback of a thousand frames is cut to the innermost ones."""

    def bomb() -> None:
        bomb()

    with pytest.raises(RecursionError) as caught:
        bomb()

    failure = decode_failure(failure_of(caught.value, attempt=1))
    assert failure.traceback is not None
    assert failure.traceback.count("in bomb") <= FRAMES_MAX


def test_the_cause_is_named() -> None:
    """An exception raised from another tells which."""
    outer = raised(ValueError("outer"))
    outer.__cause__ = KeyError("inner")

    failure = decode_failure(failure_of(outer, attempt=1))

    assert failure.traceback is not None
    assert "caused by KeyError" in failure.traceback
