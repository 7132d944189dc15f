"""Arrays as text: elements and slices are found without decoding them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel.codec import JsonValue, encode
from fairlead.kernel.elements import Elements, Kind, NoArray, array_at, length_at

SCALARS = st.none() | st.integers(-9, 99) | st.text(st.characters(exclude_characters="\0", codec="utf-8"))
ARRAYS = st.lists(st.recursive(SCALARS, lambda inner: st.lists(inner), max_leaves=5))


@pytest.mark.parametrize("text", [b"[]", b"[1]", b'[1,"a,b",[2,[3]],{"x":[4,5]},null]', b"[ 1 , 2 ]"])
def test_elements_are_found_by_index(text: bytes) -> None:
    """Each element is the JSON text that stands in the array, whatever brackets and commas it holds."""
    values = msgspec.json.decode(text)
    elements = Elements(text)

    assert [msgspec.json.decode(elements[index]) for index in range(len(elements))] == values


def test_an_element_costs_a_few_bytes() -> None:
    """The index of a large array takes less memory than the array itself."""
    text = msgspec.json.encode(list(range(100_000, 200_000)))

    assert Elements(text).size_bytes < 2 * len(text)


@given(values=ARRAYS, size_bytes_max=st.integers(0, 40))
def test_slices_that_fit_make_up_the_array(values: list[JsonValue], size_bytes_max: int) -> None:
    """Each slice is as long as it can be, and a single element where that alone is too long."""
    elements = Elements(encode(values))
    slices: list[bytes] = []
    first = 0
    while first < len(elements):
        count = elements.fitting(first, size_bytes_max)
        slices.append(elements.slice(first, count))

        assert len(slices[-1]) <= size_bytes_max or count == 1
        if first + count < len(elements):
            assert len(elements.slice(first, count + 1)) > size_bytes_max
        first += count

    assert [value for each in slices for value in msgspec.json.decode(each)] == values


def test_an_array_is_found_along_its_path() -> None:
    """Where the path leads to no array, or nowhere, that is said."""
    data = b'{"a":{"b":[1,2]},"c":3}'

    assert array_at(("a", "b"), data)[1] == b"2"
    assert length_at(("a", "b"), data) == 2
    wrong: dict[tuple[str, ...], Kind] = {
        ("a",): "an object",
        ("c",): "a number",
        ("a", "x"): "nothing",
        ("c", "d"): "nothing",
        (): "an object",
    }
    for path, found in wrong.items():
        for look in (array_at, length_at):
            with pytest.raises(NoArray) as raised:
                look(path, data)
            assert raised.value.found == found
