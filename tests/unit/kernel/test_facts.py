"""Facts: what decisions know of a payload."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fairlead.kernel.facts import (
    ArrayFacts,
    facts_of,
    joined_facts,
    map_matches,
    read_facts,
    time_in,
    value_matches,
)
from fairlead.kernel.plan import NO_QUESTIONS, Questions, ValuePath

PAGES = ValuePath(name="fetch", path=("pages",))
SEND_AT = ValuePath(name="fetch", path=("send_at",))


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
    facts = read_facts(facts_of(Questions(arrays=(PAGES,)), data))

    assert facts.lengths == {"fetch.pages": length}


def test_a_value_nobody_asks_about_has_no_facts() -> None:
    """Nothing is stored where there is nothing to know."""
    assert facts_of(NO_QUESTIONS, b"[1,2,3]") is None
    assert read_facts(None).lengths == {}


def test_several_paths_into_one_value() -> None:
    """Each source has its own entry, the value itself included."""
    whole = ValuePath(name="fetch")
    deep = ValuePath(name="fetch", path=("a", "b"))

    facts = read_facts(facts_of(Questions(arrays=(whole, deep)), b'{"a":{"b":[1,2]}}'))

    assert facts.lengths == {"fetch": "an object", "fetch.a.b": 2}


def test_each_pattern_has_its_own_verdict() -> None:
    """A value is decoded once, and every pattern over it is answered by itself."""
    questions = Questions(patterns=(b'{"risk":"high"}', b'{"risk":"low"}'))

    facts = facts_of(questions, b'{"risk":"low"}')

    assert [value_matches(questions, facts, pattern) for pattern in questions.patterns] == [False, True]


def test_a_map_contains_what_its_elements_contain_together() -> None:
    """Each task answers for its element; an array pattern asks for each of its elements somewhere among them."""
    questions = Questions(patterns=(b'{"ok":true}', b"null"))
    elements = [b'{"ok":false}', b'{"ok":true}', b"null"]
    known: bytes | None = None
    told: list[bool] = []

    for element in elements:
        known = joined_facts(known, facts_of(questions, element))
        told.append(map_matches(questions, known, b'[{"ok":true},null]'))

    assert told == [False, False, True]


@pytest.mark.parametrize(("pattern", "met"), [(b"[]", True), (b"[1]", False), (b"{}", False), (b"1", False)])
def test_an_empty_map_contains_only_the_empty_array(pattern: bytes, met: bool) -> None:
    """An empty map has no facts, and a map's output is never anything but an array."""
    questions = Questions(patterns=(b"1",))

    assert map_matches(questions, None, pattern) is met


def test_facts_are_written_alike_every_time() -> None:
    """Two tries of one settle write the same bytes."""
    questions = Questions(arrays=(PAGES,), patterns=(b"{}",))

    assert facts_of(questions, b'{"pages":[1]}') == b'{"lengths":{"fetch.pages":1},"matches":[true]}'


@pytest.mark.parametrize(
    ("data", "time"),
    [
        (b'{"send_at":"2030-01-01T12:00:00Z"}', datetime(2030, 1, 1, 12, tzinfo=UTC)),
        (b'{"send_at":"2030-01-01T12:00:00.25+02:00"}', datetime(2030, 1, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
        (b'{"send_at":"9999-12-31T23:59:59-23:00"}', datetime(9999, 12, 30, tzinfo=UTC)),
        (b'{"send_at":"0001-01-01T00:00:00+23:00"}', datetime(1, 1, 2, tzinfo=UTC)),
        (b'{"send_at":null}', None),
        (b'{"send_at":"2030-01-01T12:00:00"}', "a time without its offset from UTC"),
        (b'{"send_at":"2030-01-01"}', "text that is no time"),
        (b'{"send_at":"tomorrow"}', "text that is no time"),
        (b'{"send_at":1893499200}', "a number"),
        (b'{"send_at":[]}', "an array"),
        (b'{"other":1}', "nothing"),
        (b"null", "nothing"),
    ],
)
def test_the_time_that_a_sleep_waits_for_or_what_is_there_instead(data: bytes, time: datetime | str | None) -> None:
    """A time has an offset and is told in UTC, within what every time zone can say; null is no time to wait for."""
    facts = facts_of(Questions(times=(SEND_AT,)), data)

    assert time_in(facts, SEND_AT) == time


def test_a_skipped_step_gives_no_time() -> None:
    """It has no facts, and there is nothing to wait for."""
    assert time_in(None, SEND_AT) is None


def test_in_an_array_that_is_seen_in_parts_there_is_no_time() -> None:
    """An array that is made element by element answers like one that is seen as a whole."""
    questions = Questions(times=(SEND_AT, ValuePath(name="fetch")))
    parts = ArrayFacts(questions)
    parts.add(b'"2030-01-01T12:00:00Z"')

    assert parts.encoded() == facts_of(questions, b'["2030-01-01T12:00:00Z"]')
