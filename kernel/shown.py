"""Values of whoever calls, as they stand in messages: an error that refuses one must not fail over it itself."""

from __future__ import annotations

from typing import Final

SHOWN_LENGTH_MAX: Final = 200
"""Characters of a value in a message: any name that is a little too long still stands there whole."""


def shown(value: object, length_max: int = SHOWN_LENGTH_MAX) -> str:
    """The `repr` of a value, cut; what it is where it has none, as an integer of 5,000 digits has none."""
    try:
        text = str.__str__(repr(value))
    except Exception:  # whatever a class of users raises
        return f"{with_article(value)} that cannot be shown"
    return text if len(text) <= length_max else f"{text[:length_max]}…"


def with_article(value: object) -> str:
    """What a value is: `a dict`, `an Order`."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
