"""The rules for names."""

from __future__ import annotations

import keyword
import re

NAME_LENGTH_MAX = 128
"""Characters. Long enough for any readable name, short enough for every store's index."""

RESERVED = ("input", "config", "state", "ctx", "item", "index", "run")
"""Names that mean something else wherever a step may be named."""

_SLUG = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_QUEUE = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*")


def slug_problem(slug: object) -> str | None:
    """Return what keeps `slug` from being one, as the end of a sentence that names it, or None."""
    return _problem(slug, _SLUG, "letters, digits and underscores, not beginning with a digit")


def queue_problem(queue: object) -> str | None:
    """Return what keeps `queue` from being a queue's name, or None."""
    return _problem(queue, _QUEUE, "letters, digits, underscores, dots and hyphens")


def step_slug_problem(slug: object, input_name: str) -> str | None:
    """Return what keeps `slug` from naming a step of a flow whose input is called `input_name`, or None."""
    problem = slug_problem(slug)
    if problem is not None or not isinstance(slug, str):
        return problem
    if slug == input_name:
        return "is the name of the flow's input"
    if slug in RESERVED:
        return f"is reserved (as are {', '.join(name for name in RESERVED if name != slug)})"
    return _keyword_problem(slug)


def input_name_problem(name: object) -> str | None:
    """Return what keeps `name` from naming a flow's input, or None."""
    problem = slug_problem(name)
    if problem is not None or not isinstance(name, str):
        return problem
    if name in RESERVED and name != "input":
        return "is reserved for something else"
    return _keyword_problem(name)


def _problem(name: object, pattern: re.Pattern[str], alphabet: str) -> str | None:
    if not isinstance(name, str):
        return f"must be a str, not {type(name).__name__}"
    if not name:
        return "must not be empty"
    if len(name) > NAME_LENGTH_MAX:
        return f"has {len(name)} characters; at most {NAME_LENGTH_MAX} are allowed"
    if pattern.fullmatch(name) is None:
        return f"must consist of {alphabet}"
    return None


def _keyword_problem(name: str) -> str | None:
    return "is a Python keyword, so no parameter could be named like it" if keyword.iskeyword(name) else None
