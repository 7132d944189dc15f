"""Handlers of random flows: how they behave, and what they return.

Only the number of its call makes a value different from those of other attempts, and each value tells which calls it
was made from. So it is seen whether a step was given what is recorded, or what an attempt made that does not count.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import Parameter, Signature
from random import Random
from typing import Any, TypeAlias, cast

from attrs import evolve, frozen

from fairlead.kernel import Context

Value: TypeAlias = dict[str, Any]
"""What every step but a map returns: `n`, `items` and `kind`, and by which call of a handler, from which others."""

CALL, MADE_FROM = "call", "made_from"
OF_THIS_COURSE = frozenset({CALL, MADE_FROM})
"""The fields of a value that differ from course to course."""

MODES = ("a", "b", "c")

TAKES_S = (0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 3.0, 8.0, 45.0)
"""How long async handlers take: the longest outlive a lease that is not extended."""

HANGS_S = 100.0
"""How long an attempt takes that is to exceed its time."""

PADDING = "x" * 300
"""Makes a payload too large for its row, where a world's rows are small."""


@frozen(kw_only=True)
class Habits:
    """How a handler behaves, besides what it returns."""

    takes_s: float
    fails: int
    """How many attempts fail first."""
    notes: bool
    padded: bool
    calls: Iterator[int]
    """Numbers the calls of all handlers of a flow."""
    hangs: int = 0
    """How many attempts first take far longer than a step's time."""

    @classmethod
    def drawn(cls, random: Random, calls: Iterator[int]) -> Habits:
        """The habits of one handler."""
        return cls(
            takes_s=random.choice(TAKES_S),
            fails=random.choice((0, 0, 0, 1, 2)),
            notes=random.random() < 0.2,
            padded=random.random() < 0.3,
            calls=calls,
        )

    def hanging(self, attempts: int) -> Habits:
        """These, of a handler that is in time in none of its first attempts, and at once in the others."""
        return evolve(self, hangs=attempts, takes_s=0.0)

    def duration_s(self, ctx: Context) -> float:
        """How long an async handler takes in this attempt."""
        return HANGS_S if ctx.attempt <= self.hangs else self.takes_s

    def begin(self, ctx: Context) -> None:
        """What every call begins with."""
        if self.notes:
            ctx.log("begins", attempt=ctx.attempt)
            ctx.annotate(step=ctx.step)
        if ctx.attempt <= self.fails:
            raise ConnectionError(f"attempt {ctx.attempt} fails")

    def value(self, of: Mapping[str, object]) -> Value:
        """What follows from what was given."""
        number = zlib.crc32(repr([(name, lasting(given)) for name, given in sorted(of.items())]).encode())
        made: Value = {
            "n": number % 100,
            "items": list(range(number % 4)),
            "kind": MODES[number % 3],
            CALL: next(self.calls),
            MADE_FROM: {name: given[CALL] for name, given in of.items() if isinstance(given, dict) and CALL in given},
        }
        return {**made, "padding": PADDING} if self.padded else made


def lasting(value: object) -> object:
    """A value without what differs from course to course."""
    if not isinstance(value, dict):
        return value
    fields = cast("Value", value)
    return {name: field for name, field in fields.items() if name not in OF_THIS_COURSE}


Returns: TypeAlias = Callable[[Context, Mapping[str, object]], Any]


def make_handler(
    slug: str,
    habits: Habits,
    returns: Returns,
    parameters: Mapping[str, Any],
    returned: Any,
    random: Random,
    *,
    plain: bool = False,
) -> Callable[..., Any]:
    """A handler of these parameters and a context, async or plain; plain for sure where that is asked for."""
    plain = random.random() < (1.0 if plain else 0.3) and not habits.hangs
    handler: Callable[..., Any] = _plain(returns) if plain else _async(returns, habits)
    annotations = {"ctx": Context, **parameters}
    given = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in annotations.items()]
    handler.__name__ = handler.__qualname__ = slug
    handler.__annotations__ = {**annotations, "return": returned}
    handler.__signature__ = Signature(given, return_annotation=returned)  # type: ignore[attr-defined]
    return handler


def _async(returns: Returns, habits: Habits) -> Callable[..., Awaitable[Any]]:
    async def handler(**given: Any) -> Any:
        ctx = given.pop("ctx")
        await asyncio.sleep(habits.duration_s(ctx))
        return returns(ctx, given)

    return handler


def _plain(returns: Returns) -> Callable[..., Any]:
    def handler(**given: Any) -> Any:
        ctx = given.pop("ctx")
        return returns(ctx, given)

    return handler
