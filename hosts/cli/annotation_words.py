"""Annotations as a person writes and reads them: `customer=acme`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
import msgspec

from ...kernel import AnnotationValue
from .output import printable


def annotation_values(
    _context: click.Context, _option: click.Parameter, given: Sequence[str]
) -> dict[str, AnnotationValue]:
    """The values of an option or argument that is given as KEY=VALUE, several times.

    A value that is a JSON number, `true`, `false` or text in quotes is that; everything else is text as it stands.
    """
    values: dict[str, AnnotationValue] = {}
    for each in given:
        key, sign, text = each.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{each!r} is not KEY=VALUE, as in customer=acme")
        values[key] = _value(text)
    return values


def annotation_line(annotations: Mapping[str, object]) -> str:
    """Annotations in one line, in the form in which they are given."""
    return printable(", ".join(f"{key}={_shown(value)}" for key, value in annotations.items()))


def _value(text: str) -> AnnotationValue:
    try:
        value = msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _shown(value: object) -> str:
    """A value; text that would be read as something else stands in quotes."""
    if isinstance(value, str) and _value(value) == value:
        return value
    return msgspec.json.encode(value).decode()
