"""The words with which a wrong name is answered."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN_MAX = 12


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that proposes the nearest of the known names, or lists them where none is near."""
    names = list(known)
    close = closest(name, names)
    if close is not None:
        return f"did you mean {close!r}?"
    if not names:
        return "there is none yet"
    shown = ", ".join(repr(each) for each in names[:_SHOWN_MAX])
    return f"known: {shown}" + (f" and {len(names) - _SHOWN_MAX} more" if len(names) > _SHOWN_MAX else "")


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of the known names that somebody may have meant, or None."""
    from difflib import get_close_matches  # Only a wrong name needs it, so importing the kernel does not pay for it.

    return next(iter(get_close_matches(name, list(known), n=1)), None)
