"""Facts: the little that decisions need to know of a payload.

A decision never sees a payload. Whoever holds one answers the flow's questions about it (`Plan.questions`) before the
transaction, and the answers are stored with the row that the payload belongs to: the lengths of the arrays that maps
work over, the times that sleeps wait for, and which patterns of conditions the value contains. Every pattern is
answered by itself, so a condition over several values costs nothing but a look at the facts of each.

A map's output is never put together for this. Each of its tasks answers for its own element, and the map's facts are
what any of its elements contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from .codec import JsonValue
from .containment import contains, elements_of
from .elements import Kind, NoArray, length_at
from .plan import Questions, ValuePath
from .times import NoTime, NotTime, time_at

NULL = b"null"
"""What an element of a map is to its dependents if its task has failed."""

NEVER_LOOKED_AT = NULL
"""The facts of a run's input that nobody has looked at, since its start was withdrawn: it can never begin. Facts are
an object otherwise."""

PATTERNS_CACHED_MAX = 4096
"""Decoded patterns kept for reuse: more than all flows of a large app have."""


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts of one payload."""

    lengths: dict[str, int | Kind] = {}
    """An array's length, or what is there instead, by `ValuePath.dotted`."""
    matches: tuple[bool, ...] = ()
    """Whether the value contains each of `Questions.patterns`."""
    times: dict[str, datetime | None] = {}
    """The times that sleeps wait for, in UTC, by `ValuePath.dotted`; None where there is null."""
    no_times: dict[str, NotTime] = {}
    """What is there instead of such a time."""


NO_FACTS = Facts()

_decoder = msgspec.json.Decoder(Facts)
_encoder = msgspec.json.Encoder(order="deterministic")
_value: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder()


def facts_of(questions: Questions, data: bytes) -> bytes | None:
    """The facts of a payload, as they are stored.

    Args:
        questions: what the flow asks about it; of a map, about the output of one of its tasks.
        data: the payload, canonical JSON.

    Returns:
        Canonical JSON; None where there is nothing to know.
    """
    if not questions:
        return None
    lengths: dict[str, int | Kind] = {source.dotted: _length(source, data) for source in questions.arrays}
    times, no_times = _times(questions.times, data)
    matches = _matches(questions.patterns, data)
    return _encoder.encode(Facts(lengths=lengths, matches=matches, times=times, no_times=no_times))


class ArrayFacts:
    """The facts of an array that is seen one element at a time.

    Args:
        questions: as for `facts_of`.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._count = 0
        self._missing = {wanted for pattern in questions.patterns for wanted in elements_of(pattern)}
        """The patterns that no element has contained so far."""

    def add(self, element: bytes) -> None:
        """See the next element, canonical JSON."""
        self._count += 1
        if self._missing:
            value = _value.decode(element)
            self._missing -= {wanted for wanted in self._missing if contains(value, _decoded(wanted))}

    def encoded(self) -> bytes | None:
        """The facts of all that was seen, as `facts_of` gives them for the whole array."""
        if not self._questions:
            return None
        patterns = self._questions.patterns
        return _encoder.encode(
            Facts(
                lengths={each.dotted: "nothing" if each.path else self._count for each in self._questions.arrays},
                matches=tuple(each[:1] == b"[" and self._missing.isdisjoint(elements_of(each)) for each in patterns),
                no_times={each.dotted: "nothing" if each.path else "an array" for each in self._questions.times},
            )
        )


def read_facts(stored: bytes | None) -> Facts:
    """The facts that `facts_of` or `joined_facts` made."""
    return NO_FACTS if stored is None else _decoder.decode(stored)


def joined_facts(known: bytes | None, element: bytes | None) -> bytes | None:
    """The facts of a map that are known so far, and what one more of its elements adds to them."""
    if known is None or element is None or known == element:
        return known or element
    both = zip(read_facts(known).matches, read_facts(element).matches, strict=True)
    return _encoder.encode(Facts(matches=tuple(before or now for before, now in both)))


def value_matches(questions: Questions, facts: bytes | None, pattern: bytes) -> bool:
    """Whether the value of which these are the facts contains a pattern that was asked about."""
    return read_facts(facts).matches[questions.places[pattern]]


def map_matches(questions: Questions, facts: bytes | None, pattern: bytes) -> bool:
    """Whether the output of a map contains a pattern, told by what its elements contain; an empty one contains `[]`."""
    if pattern[:1] != b"[":
        return False
    matches = read_facts(facts).matches
    return all(matches and matches[questions.places[wanted]] for wanted in elements_of(pattern))


@lru_cache(maxsize=PATTERNS_CACHED_MAX)
def _decoded(pattern: bytes) -> JsonValue:
    return _value.decode(pattern)


def _matches(patterns: Sequence[bytes], data: bytes) -> tuple[bool, ...]:
    if not patterns:
        return ()
    value = _value.decode(data)
    return tuple(contains(value, _decoded(pattern)) for pattern in patterns)


def _length(source: ValuePath, data: bytes) -> int | Kind:
    try:
        return length_at(source.path, data)
    except NoArray as error:
        return error.found


def _times(wanted: Sequence[ValuePath], data: bytes) -> tuple[dict[str, datetime | None], dict[str, NotTime]]:
    times: dict[str, datetime | None] = {}
    no_times: dict[str, NotTime] = {}
    for each in wanted:
        try:
            times[each.dotted] = time_at(each.path, data)
        except NoTime as error:
            no_times[each.dotted] = error.found
    return times, no_times


def array_length(facts: bytes | None, source: ValuePath) -> int | Kind:
    """The length of an array in a value, or what is there instead."""
    return read_facts(facts).lengths.get(source.dotted, "nothing")


def time_in(facts: bytes | None, until: ValuePath) -> datetime | NotTime | None:
    """The time in a value that a sleep waits for, in UTC, or what is there instead.

    None where there is null, and where there are no facts, since the step that should give the value was skipped.
    """
    known = read_facts(facts)
    return known.no_times.get(until.dotted) or known.times.get(until.dotted)
