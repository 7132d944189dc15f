"""Docstrings as Markdown: their prose as it is, their sections as lists."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping

_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)
_ITEM = re.compile(r"^ {4}(\*{0,2}\w[\w, .]*): ", re.MULTILINE)
_TITLES = {"Returns": "Returns", "Raises": "Raises", "Yields": "Yields"}


def prose(documented: object) -> list[str]:
    """The lines of a docstring before its sections."""
    return _SECTION.split(_text(documented))[0].strip().splitlines()


def first_sentence(documented: object) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join(_text(documented).split("\n\n")[0].split())


def named_arguments(documented: object) -> Mapping[str, str]:
    """What a docstring says of each argument, by its name."""
    _, *parts = _SECTION.split(_text(documented))
    bodies = dict(zip(parts[::2], parts[1::2], strict=True))
    return {name.strip(): meaning for names, meaning in _items(bodies.get("Args", "")) for name in names.split(",")}


def markdown(documented: object) -> Iterator[str]:
    """A docstring with its sections: arguments as a list, what is returned and raised as paragraphs and lists."""
    yield from prose(documented)
    told = list(sections(documented))
    if told:
        yield from ("", *told[:-1])


def sections(documented: object, *, arguments: bool = True) -> Iterator[str]:
    """The sections of a docstring, each with a blank line after it.

    Args:
        documented: what has the docstring.
        arguments: whether that of the arguments is wanted; else they are told with the fields that they become.
    """
    _, *parts = _SECTION.split(_text(documented))
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if arguments or name != "Args":
            yield from (*_section(name, body.rstrip()), "")


def _section(name: str, body: str) -> Iterator[str]:
    items = list(_items(body))
    if name in _TITLES and not items:
        yield f"**{_TITLES[name]}** {_flat(body)}"
        return
    if name in _TITLES:
        yield f"**{_TITLES[name]}**"
        yield ""
    for names, meaning in items:
        shown = ", ".join(f"`{each.strip()}`" for each in names.split(","))
        yield f"- {shown}: {meaning}"


def _items(body: str) -> Iterator[tuple[str, str]]:
    _, *parts = _ITEM.split(body)
    for names, meaning in zip(parts[::2], parts[1::2], strict=True):
        yield names, _flat(meaning)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _text(documented: object) -> str:
    return inspect.getdoc(documented) or ""
