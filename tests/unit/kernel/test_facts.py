"""Facts: what decisions know of a payload."""

from __future__ import annotations

import pytest

from fairlead.kernel.facts import facts_of, read_facts
from fairlead.kernel.plan import MapSource

PAGES = MapSource(name="fetch", path=("pages",))


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b'{"pages":[]}', 0),
        (b'{"pages":[null,[1,2],{"a":[3]}]}', 3),
        (b'{"other":[1]}', "nothing"),
        (b'{"pages":{"a":1}}', "an object"),
        (b'{"pages":"[1,2]"}', "a string"),
        (b'{"pages":null}', "null"),
        (b'{"pages":-1.5}', "a number"),
        (b'{"pages":true}', "a boolean"),
        (b"[1,2]", "nothing"),
        (b'"text"', "nothing"),
    ],
)
def test_the_length_of_a_mapped_array_or_what_is_there_instead(data: bytes, length: int | str) -> None:
    """Only top-level elements count, null elements too; anything else is told by its kind."""
    facts = read_facts(facts_of((PAGES,), data))

    assert facts.lengths == {"fetch.pages": length}


def test_a_value_nobody_maps_over_has_no_facts() -> None:
    """Nothing is stored where there is nothing to know."""
    assert facts_of((), b"[1,2,3]") is None
    assert read_facts(None).lengths == {}


def test_several_paths_into_one_value() -> None:
    """Each source has its own entry, the value itself included."""
    whole = MapSource(name="fetch")
    deep = MapSource(name="fetch", path=("a", "b"))

    facts = read_facts(facts_of((whole, deep), b'{"a":{"b":[1,2]}}'))

    assert facts.lengths == {"fetch": "an object", "fetch.a.b": 2}
