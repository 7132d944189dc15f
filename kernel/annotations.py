"""Annotations: what runs are labelled with and found by.

An annotation is a key and a scalar. What is asked for is a JSON object in which null takes an annotation away; what is
stored is the object of all that a run has. Both are canonical, so values are the same where their bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

import msgspec

from ..ports.notes import AnnotationValue
from .codec import encode
from .errors import InvalidAnnotations, PayloadError
from .payload_faults import key_text
from .shown import shown

ANNOTATIONS_MAX = 50
"""Annotations of one run: what it is found by, not what it works on, which is its payload."""

ANNOTATION_KEY_LENGTH_MAX = 100
"""Characters of an annotation's key: a few words."""

ANNOTATION_LENGTH_MAX = 500
"""Characters of an annotation's text: an id, a name, an address; it stands in an index."""

ANNOTATION_NUMBER_MAX = 10**18
"""The largest whole number, up or down, that a run is annotated with: what 64 bits hold."""

_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_values: msgspec.json.Decoder[dict[str, AnnotationValue]] = msgspec.json.Decoder(dict[str, AnnotationValue])
_encoder = msgspec.json.Encoder(order="sorted")

NULL = b"null"


def encode_annotations(values: object, *, removing: bool, what: str) -> bytes:
    """Return annotations as a canonical JSON object.

    Args:
        values: a mapping of keys to texts, finite numbers and truth values.
        removing: whether None is a value too, which takes an annotation away.
        what: how they are called in an error.

    Raises:
        InvalidAnnotations: some do not fit; every problem is listed with its path.
    """
    if not isinstance(values, Mapping):
        raise InvalidAnnotations((("$", f"must be a mapping of keys to values, not {shown(values)}"),), what=what)
    given = dict(cast("Mapping[object, object]", values))
    found = ((key_text(key), problem) for key, value in given.items() for problem in _problems(key, value, removing))
    problems = [(f"${key}", problem) for key, problem in found]
    if len(given) > ANNOTATIONS_MAX:
        problems.append(("$", f"has {len(given)} annotations; a run has at most {ANNOTATIONS_MAX}"))
    if problems:
        raise InvalidAnnotations(tuple(problems), what=what)
    try:
        return encode(given, what=what)
    except PayloadError as error:
        raise InvalidAnnotations(error.problems, what=what) from None


def decode_annotations(document: bytes | None) -> dict[str, AnnotationValue]:
    """The values of a stored document; none where there is no document."""
    return {} if document is None else _values.decode(document)


def combine_annotations(earlier: bytes | None, later: bytes) -> tuple[bytes, int]:
    """What is asked for by two requests together, the later one's word before the earlier one's.

    Returns:
        It, with at most `ANNOTATIONS_MAX` keys, and how many of the later one's were left out.
    """
    if earlier is None:
        return later, 0
    combined = _raw.decode(earlier)
    left_out = 0
    for key, value in _raw.decode(later).items():
        if key in combined or len(combined) < ANNOTATIONS_MAX:
            combined[key] = value
        else:
            left_out += 1
    return _encoder.encode(combined), left_out


class Merged(NamedTuple):
    """What a run's annotations become."""

    document: bytes
    """All of them from now on."""
    told: bytes | None
    """Those that are other than before, null for one that is taken away; None where none is."""
    left_out: int
    """How many were left out, since the run has as many as it may have."""


def merge_annotations(current: bytes | None, values: bytes) -> Merged:
    """Put annotations beside those that a run has, or in their place. What is the same already changes nothing."""
    found: dict[str, bytes] = {key: bytes(value) for key, value in _raw.decode(current or b"{}").items()}
    told: dict[str, msgspec.Raw] = {}
    left_out = 0
    asked = {key: bytes(value) for key, value in _raw.decode(values).items()}
    for key, value in sorted(asked.items(), key=lambda item: item[1] != NULL):  # what goes makes room
        if found.get(key, NULL) == value:
            continue
        if value == NULL:
            del found[key]
        elif key not in found and len(found) >= ANNOTATIONS_MAX:
            left_out += 1
            continue
        else:
            found[key] = value
        told[key] = msgspec.Raw(value)
    document = _encoder.encode({key: msgspec.Raw(value) for key, value in found.items()})
    return Merged(document, _encoder.encode(told) if told else None, left_out)


def _problems(key: object, value: object, removing: bool) -> Iterator[str]:
    if not isinstance(key, str) or not 1 <= len(key) <= ANNOTATION_KEY_LENGTH_MAX or not key.isprintable():
        yield f"a key is printable text of 1 to {ANNOTATION_KEY_LENGTH_MAX} characters"
    match value:
        case None if removing:
            pass
        case bool() | float():
            pass  # whether a number is finite is the codec's to say
        case int():
            if abs(value) > ANNOTATION_NUMBER_MAX:
                yield f"a whole number is at most {ANNOTATION_NUMBER_MAX:,}, up or down"
        case str():
            if len(value) > ANNOTATION_LENGTH_MAX:
                yield f"has {len(value):,} characters, at most {ANNOTATION_LENGTH_MAX} are allowed"
        case _:
            yield f"must be text, a number or a truth value, not {type(value).__name__}"
