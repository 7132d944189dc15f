"""That a step may suspend: what it keeps meanwhile, and the check that looks whether its output is there."""

from __future__ import annotations

from attrs import define, field, frozen

from ..schema import Schema
from .binding import Binding


@frozen(kw_only=True, eq=False)
class Check:
    """What looks whether a suspended step has its output. It is tried again like a handler, under the same policy."""

    name: str
    """The function's."""
    binding: Binding = field(repr=False)
    streamed: Schema | None = field(repr=False, default=None)
    """As in `Step`."""


@define(kw_only=True, eq=False)
class Suspension:
    """Whether and how a step suspends. The check is written down after the step, and put in then."""

    state: Schema
    """What is kept for the check: of `Suspend[…]`, else as the check declares it, else untyped."""
    declared: bool
    """Whether the step's annotation says that it may suspend, rather than nothing at all."""
    check: Check | None = None
