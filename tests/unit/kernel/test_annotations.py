"""Annotations are put beside each other: what changes is told, what stays is not, and no run has too many."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel.annotations import (
    ANNOTATIONS_MAX,
    combine_annotations,
    decode_annotations,
    encode_annotations,
    merge_annotations,
)


def test_what_changes_is_told() -> None:
    """Added, replaced and taken away; an equal value in another form is another value."""
    merged = merge_annotations(b'{"a":1,"b":"x","c":true}', b'{"a":1,"b":"y","c":null,"d":1.0}')

    assert merged.document == b'{"a":1,"b":"y","d":1.0}'
    assert merged.told == b'{"b":"y","c":null,"d":1.0}'
    assert merged.left_out == 0


def test_what_stays_is_not_told() -> None:
    """Nothing is, where all of it is there already, and what is to go is not."""
    assert merge_annotations(b'{"a":1}', b'{"a":1,"b":null}').told is None
    assert merge_annotations(None, b'{"a":null}').told is None


def test_a_full_run_gets_no_new_keys() -> None:
    """Its own may change and go, which makes room for others, those asked for at once included."""
    full = encode_annotations({f"k{number}": 0 for number in range(ANNOTATIONS_MAX)}, removing=False, what="a")
    merged = merge_annotations(full, b'{"a":1,"k0":2}')
    room = merge_annotations(full, b'{"a":1,"k1":null}')

    assert (merged.told, merged.left_out) == (b'{"k0":2}', 1)
    assert (room.told, room.left_out) == (b'{"a":1,"k1":null}', 0)
    assert len(decode_annotations(room.document)) == ANNOTATIONS_MAX


def test_requests_are_combined() -> None:
    """The later word counts, that of nothing included; what is too much is left out."""
    many = b"{%s}" % b",".join(b'"k%d":1' % number for number in range(ANNOTATIONS_MAX))

    assert combine_annotations(None, b'{"a":1}') == (b'{"a":1}', 0)
    assert combine_annotations(b'{"a":1,"b":1}', b'{"a":null,"c":2}') == (b'{"a":null,"b":1,"c":2}', 0)
    assert combine_annotations(many, b'{"k0":2,"x":1,"y":1}')[1] == 2


_scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text('ab"é\n ', max_size=3)
_values = st.dictionaries(st.sampled_from("abcdef"), _scalars)


@given(requests=st.lists(_values, max_size=8))
def test_one_after_the_other_or_combined_comes_to_the_same(requests: list[dict[str, object]]) -> None:
    """And what is told, applied in order, is the document."""
    document: bytes | None = None
    combined: bytes | None = None
    told: dict[str, object] = {}
    for request in requests:
        data = encode_annotations(request, removing=True, what="a")
        merged = merge_annotations(document, data)
        document = merged.document
        combined, _ = combine_annotations(combined, data)
        told.update(json.loads(merged.told or b"{}"))
    at_once = merge_annotations(None, combined or b"{}").document

    assert (document or b"{}") == at_once
    assert json.loads(at_once) == {key: value for key, value in told.items() if value is not None}
