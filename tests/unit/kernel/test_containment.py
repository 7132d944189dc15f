"""Containment: the one relation that conditions are made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel.codec import JsonValue
from fairlead.kernel.containment import contains, elements_of

JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ({"status": "paid", "cents": 5}, {"status": "paid"}, True),
        ({"status": "paid"}, {"status": "paid", "cents": 5}, False),
        ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 1}}}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"a": 1}, {}, True),
        ([], {}, False),
        (None, {}, False),
        ([3, 2, 1], [1, 3], True),
        ([1], [1, 1], True),
        ([1], [2], False),
        ([], [], True),
        ([{"ok": True}, {"ok": False, "n": 1}], [{"n": 1}], True),
        ([[1, 2], [3]], [[2]], True),
        ([[1], [2]], [[1, 2]], False),
        (1, [1], False),
        ([1], 1, False),
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        (True, True, True),
        ("a", "a", True),
        ("ab", "a", False),
        (None, None, True),
        (None, False, False),
    ],
)
def test_objects_partially_arrays_by_contains_scalars_by_equality(
    value: JsonValue, pattern: JsonValue, expected: bool
) -> None:
    """The definition, case by case."""
    assert contains(value, pattern) is expected


@given(JSON)
def test_everything_contains_itself(value: JsonValue) -> None:
    """Containment is reflexive."""
    assert contains(value, value)


@given(JSON, JSON, JSON)
def test_containment_passes_on(one: JsonValue, two: JsonValue, three: JsonValue) -> None:
    """Containment is transitive."""
    assert contains(one, three) or not (contains(one, two) and contains(two, three))


@pytest.mark.parametrize(
    ("pattern", "elements"), [(b'[{"a":1},null]', (b'{"a":1}', b"null")), (b"[]", ()), (b'{"a":[1]}', ()), (b"1", ())]
)
def test_the_patterns_of_the_elements(pattern: bytes, elements: tuple[bytes, ...]) -> None:
    """What each task of a map is asked."""
    assert elements_of(pattern) == elements
