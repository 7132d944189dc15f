"""Every fault of data has one verdict: a `PayloadError` that names the path."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Iterator
from typing import cast

import attrs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.kernel import codec
from fairlead.kernel.errors import PayloadError
from fairlead.kernel.payload_faults import DEPTH_MAX, FAULTS_MAX, INTEGER_DIGITS_MAX, PATH_LENGTH_MAX


def paths(error: pytest.ExceptionInfo[PayloadError]) -> list[str]:
    return [path for path, _ in error.value.problems]


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


async def coroutine() -> None: ...


async def async_generator() -> AsyncIterator[int]:
    yield 1


def generator() -> Iterator[int]:
    yield 1


@attrs.frozen
class Reading:
    degrees: float | None


class Unreadable:
    def __init__(self) -> None:
        self.data = 1


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        (float("nan"), "$", "NaN"),
        ({"a": [1, float("inf")]}, "$.a[1]", "infinite"),
        ([None, -float("inf")], "$[1]", "infinite"),
        (Reading(float("nan")), "$.degrees", "NaN"),
        ((None, [float("nan")]), "$[1][0]", "NaN"),
        ({"a": "x\0y"}, "$.a", "NUL"),
        ({"a\0": 1}, '$["a\\u0000"]', "NUL"),
        (["\ud800"], "$[0]", "surrogate"),
        ({"\udfff": 1}, '$["\\udfff"]', "surrogate"),
        ({"unit price": [{}, {"é": "\0"}]}, '$["unit price"][1]["\\u00e9"]', "NUL"),
        ({"a": {1: 2}}, "$.a[1]", "keys of JSON objects are strings"),
        ({None: 2}, "$[None]", "keys of JSON objects are strings"),
        ({(1, 2): 2}, "$[a tuple]", "keys of JSON objects are strings"),
        ([generator()], "$[0]", "generator is not JSON; make it a list"),
        (async_generator(), "$", "collect it in a list"),
        ({"f": print}, "$.f", "return data, not code"),
        ({"c": int}, "$.c", "return data, not code"),
        ([range(3)], "$[0]", "make it a list"),
        ([Unreadable()], "$[0]", "an Unreadable is not JSON"),
        ([1j], "$[0]", "complex is not JSON"),
        ({1, "a"}, "$", "cannot be written as JSON"),
        ([10**INTEGER_DIGITS_MAX], "$[0]", "4,300 digits"),
        ([-(10**INTEGER_DIGITS_MAX)], "$[0]", "4,300 digits"),
        (nested(DEPTH_MAX + 1), None, "deeper than 200"),
        (nested(900), None, "deeper than 200"),
        (nested(100_000), None, "deeper than 200"),
        ([msgspec.Raw(b"{bad")], "$[0]", "Raw is not JSON"),
    ],
)
def test_values_that_are_refused(value: object, path: str | None, problem: str) -> None:
    """A value that is not JSON is refused, naming the place."""
    with pytest.raises(PayloadError, match=problem) as refused:
        codec.encode(value)

    assert path is None or [path] == paths(refused)


def test_a_coroutine_is_refused() -> None:
    """A forgotten `await` is named as such."""
    forgotten = coroutine()
    with pytest.raises(PayloadError, match=r"\$\.a: a coroutine is not JSON; await it"):
        codec.encode({"a": forgotten})
    forgotten.close()


@pytest.mark.fault(53)
def test_a_cycle_is_refused_where_it_closes() -> None:
    """A value that contains itself is told from one that is merely deep."""
    order: dict[str, object] = {}
    order["lines"] = [{"order": order}]
    with pytest.raises(PayloadError, match="contains itself") as refused:
        codec.encode(order)

    assert paths(refused) == ["$.lines[0].order"]


def test_all_faults_are_listed_up_to_a_limit() -> None:
    """The report names every fault, but stays readable for a million of them."""
    with pytest.raises(PayloadError) as refused:
        codec.encode([float("nan"), {"b": "\0", 3: 1}, print])
    with pytest.raises(PayloadError) as endless:
        codec.encode([float("nan")] * 10_000)

    assert {"$[0]", "$[1].b", "$[1][3]", "$[2]"} == set(paths(refused))
    assert len(endless.value.problems) == FAULTS_MAX


def test_a_report_can_be_stored_itself() -> None:
    """Paths are short and hold neither NUL nor surrogates, whatever the keys."""
    value: object = "\0"
    for _ in range(50):
        value = {"\0\ud800 and a very long key": value}
    with pytest.raises(PayloadError) as refused:
        codec.encode(value)

    codec.encode(refused.value.problems)
    assert all(len(path) <= PATH_LENGTH_MAX + 1 for path in paths(refused))


def test_the_verdict_on_integers_is_not_the_interpreters() -> None:
    """A process that converts longer integers still refuses them."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(PayloadError, match="4,300 digits"):
            codec.encode([10**5000])
        with pytest.raises(PayloadError, match="4,300"):
            codec.decode(b"[1" + b"0" * 5000 + b"]")
        assert codec.decode(codec.encode(10 ** (INTEGER_DIGITS_MAX - 1))) == 10 ** (INTEGER_DIGITS_MAX - 1)
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        (b"", "$", "not JSON"),
        (b"[1,", "$", "not JSON"),
        (b"[1,]", "$", "not JSON"),
        (b"1 2", "$", "not JSON"),
        (b'"\x00"', "$", "not JSON"),
        (b"\xef\xbb\xbf1", "$", "not JSON"),
        (b'{"a":NaN}', "$.a", "NaN"),
        (b"[-Infinity]", "$[0]", "infinite"),
        (b'{"a":1e400}', "$.a", "range"),
        (b"[1" + b"0" * 5000 + b"]", "$[0]", "5,001 digits"),
        (b'["a\\u0000b"]', "$[0]", "NUL"),
        (b'{"\\u0000":1}', '$["\\u0000"]', "NUL"),
        (b'["\\ud800"]', "$[0]", "surrogate"),
        (b'["\\udc00\\ud800 and more"]', "$[0]", "surrogate"),
        (b'"\xed\xa0\x80"', "$", "not UTF-8 at byte 1"),
        (b'[{"a":1,"b":{"c":1,"c":1}}]', "$[0].b.c", "more than once"),
        (b' {"a":1,\n "a":2}', "$.a", "more than once"),
        (b'{"a":1,"\\u0061":2}', "$.a", "more than once"),
        (b"[" * 300 + b"]" * 300, None, "deeper than 200"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "$", "deeper than 200"),
        (b"[" * 100_000, "$", "not JSON"),
    ],
)
def test_texts_that_are_refused(text: bytes, path: str | None, problem: str) -> None:
    """Text that is not JSON, or not ours, is refused, naming the place as far as there is one."""
    with pytest.raises(PayloadError, match=problem) as refused:
        codec.decode(text)

    assert path is None or [path] == paths(refused)


@pytest.mark.parametrize(
    "text", [b'"\\\\u0000"', b'"\\\\\\\\u0000"', b'"[[[{{{"', b'"\\ud83d\\ude00"', b'["' + b"1" * 9000 + b'"]']
)
def test_texts_that_only_look_refused(text: bytes) -> None:
    """An escaped backslash before `u0000`, brackets or digits in strings and proper surrogate pairs are fine."""
    value = codec.decode(text)

    assert value == codec.decode(codec.encode(value))


ANY_TEXT = st.text(st.characters(exclude_categories=[]))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(ANY_TEXT | st.integers() | st.none(), inner),
    max_leaves=10,
)


def is_payload(value: object) -> bool:
    """The verdict in the plainest words, to compare with."""
    if isinstance(value, dict):
        entries = cast(dict[object, object], value).items()
        return all(isinstance(key, str) and is_payload(key) and is_payload(element) for key, element in entries)
    if isinstance(value, list | tuple):
        return all(map(is_payload, cast(list[object], value)))
    if isinstance(value, str):
        return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, float) or math.isfinite(value)


@pytest.mark.fault(53)
@given(ANYTHING)
def test_every_value_is_stored_readably_or_refused(value: object) -> None:
    """There is no third outcome: what is accepted reads back, what is not is a PayloadError; no screen misses."""
    if is_payload(value):
        data = codec.encode(value)

        assert codec.encode(codec.decode(data)) == data
    else:
        with pytest.raises(PayloadError) as refused:
            codec.encode(value)

        assert all(path.startswith("$") for path in paths(refused))


@given(st.binary() | st.text('[]{},:"\\0123456789.eE-+nulltruefasdN \n').map(str.encode))
@example(b'"\\ud800"')
@example(b'"\\u0000')
def test_every_text_is_read_or_refused(text: bytes) -> None:
    """No text makes decoding fail with anything but a PayloadError."""
    try:
        value = codec.decode(text)
    except PayloadError:
        return

    assert value == codec.decode(codec.encode(value))


def test_the_error_says_what_was_refused() -> None:
    """Errors carry the name their caller gave the payload."""
    with pytest.raises(PayloadError, match="output of step 'charge': "):
        codec.encode(print, what="output of step 'charge'")
    with pytest.raises(PayloadError, match="input: "):
        codec.decode(b"[1,", what="input")
