"""Conditions and policies as people say them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import Final

import msgspec

from ...kernel.codec import JsonValue
from ...kernel.plan import INPUT, Condition, Consequence, Pattern, StepKind, StepPlan, Tolerance, ValuePath

CONDITION_WIDTH_MAX: Final = 44
"""Characters of a line of a condition; where there is more, another line begins."""
CONDITION_LINES_MAX: Final = 3
"""Lines of a condition; where there is more, an ellipsis stands for the rest."""

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))

_LATE: Final = {
    Consequence.FAIL: "the run fails",
    Consequence.SKIP: "skipped",
    Consequence.SKIP_CASCADE: "all that follow are skipped",
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def condition_words(condition: Condition, input_name: str = INPUT) -> str:
    """A condition as a phrase that follows "this runs": `when charge.status = "paid"`, `unless order.test = true`.

    Args:
        condition: of a step or a branch.
        input_name: what the flow calls its input.
    """
    when = " and ".join(_pattern_words(pattern, input_name) for pattern in condition.when)
    unless = " and ".join(_pattern_words(pattern, input_name) for pattern in condition.unless)
    if when and unless:
        excepted = f"({unless})" if len(condition.unless) > 1 or " and " in unless else unless
        both = f"{when} and not {excepted}"
        return f"unless ({both})" if condition.negated else f"when {both}"
    return f"{'when' if bool(when) is not condition.negated else 'unless'} {when or unless}"


def policy_words(step: StepPlan) -> Iterator[str]:
    """What follows where a step's condition is unmet, its attempts are used up or its signal is late, as far as it is
    not the default."""
    unmet = {
        Consequence.FAIL: "unmet: the run fails",
        Consequence.SKIP_CASCADE: "unmet: skips all that follow",
    }
    exhausted = {
        Consequence.SKIP: "failed: skipped",
        Consequence.SKIP_CASCADE: "failed: skips all that follow",
    }
    if step.kind is StepKind.SIGNAL and step.wait_s is not None:
        yield f"within {duration_words(step.wait_s)}, else {_LATE[step.on_timeout]}"
    if step.condition is not None and step.on_unmet in unmet:
        yield unmet[step.on_unmet]
    if step.on_exhausted in exhausted:
        yield exhausted[step.on_exhausted]
    if step.tolerate_failures != 0:
        yield tolerance_words(step.tolerate_failures)
    if step.requires:
        yield f"requires {', '.join(step.requires)}"


def sleep_words(step: StepPlan, input_name: str = INPUT) -> str | None:
    """How long a sleep lasts, as the end of a sentence; None for a step that is none."""
    if step.until is not None:
        return f"until {place_words(step.until, input_name)}"
    sleeps = step.kind is StepKind.SLEEP and step.wait_s is not None
    return f"for {duration_words(step.wait_s or 0.0)}" if sleeps else None


def duration_words(seconds: float) -> str:
    """A duration in the units in which it was probably meant: `90 s` is `1 min 30 s`, `259200 s` is `3 d`."""
    rest, parts = seconds, list[str]()
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:.0f} {unit}")
    if rest or not parts:
        parts.append(f"{round(rest, 6):g} s")
    return " ".join(parts)


def tolerance_words(tolerance: Tolerance) -> str:
    """How many elements may fail."""
    if isinstance(tolerance, float):
        return f"{tolerance:.6g} of all may fail" if tolerance < 0.001 else f"{tolerance * 100:.4g} % may fail"
    return f"{'any' if tolerance == 'all' else tolerance} may fail"


def source_words(step: StepPlan, input_name: str = INPUT) -> str | None:
    """The array that a map works over, as written in the flow; None for a step that is no map."""
    return None if step.source is None else place_words(step.source, input_name)


def place_words(place: ValuePath, input_name: str = INPUT) -> str:
    """Where a value is found, as written in the flow."""
    return ".".join((input_name if place.name == INPUT else place.name, *place.path))


def wrapped(words: str) -> tuple[str, ...]:
    """A condition in lines, bounded."""
    lines = wrap(
        words,
        CONDITION_WIDTH_MAX,
        max_lines=CONDITION_LINES_MAX,
        placeholder=" …",
        replace_whitespace=False,
        break_on_hyphens=False,
    )
    return tuple(lines)


def shortened(text: str, length: int) -> str:
    """Text of at most so many characters; an ellipsis stands for what is left out."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _pattern_words(pattern: Pattern, input_name: str) -> str:
    name = input_name if pattern.name == INPUT else pattern.name
    return " and ".join(_contained(name, msgspec.json.decode(pattern.document)))


def _contained(place: str, value: JsonValue) -> Iterator[str]:
    """What a place must hold, one phrase for each part of the pattern."""
    if isinstance(value, dict):
        if not value:
            yield f"{place} is an object"
        for key, wanted in value.items():
            yield from _contained(_inside(place, key), wanted)
    elif isinstance(value, list):
        if not value:
            yield f"{place} is an array"
        for wanted in value:
            yield f"{place} contains {_compact(wanted)}"
    else:
        yield f"{place} = {_compact(value)}"


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if _NAME.fullmatch(key) else f"{place}[{_compact(key)}]"


def _compact(value: JsonValue) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)}: {_compact(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_compact, value))}]"
    return msgspec.json.encode(value).decode()


def _key(key: str) -> str:
    return key if _NAME.fullmatch(key) else _compact(key)
