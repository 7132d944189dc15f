"""What every command is, and the checks that several of them share."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from ...ports.record import Record
from ..errors import InvalidArgument, LimitExceeded

Result = TypeVar("Result", covariant=True)


class Command(Record, Generic[Result], frozen=True):
    """Something the kernel can be asked to do; its answer is a `Result`."""

    needs_flows: ClassVar[bool] = True
    """Whether the kernel's flows must be registered with the store first."""


def at_most(what: str, found: int, most: int) -> None:
    """Refuse more of something than a command takes."""
    if found > most:
        raise LimitExceeded(what=what, limit=most, found=found)


def at_least(name: str, found: int, least: int) -> None:
    """Refuse an argument that is too small."""
    if found < least:
        raise InvalidArgument(name, f"at least {least}", found)
