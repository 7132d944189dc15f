"""Random flows whose handlers can be called any number of times, on any host, and always give the same.

What a handler returns follows from what it was given, and from nothing else. Some fail a few times first, some give up,
some take longer than a lease, some block, suspend or note something. So a run that nobody interferes with ends as the
same run does without faults.

Only the number of its call makes a value different from those of other attempts, and each value tells which calls it
was made from. So it is seen whether a step was given what is recorded, or what an attempt made that does not count.
"""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import Parameter, Signature
from random import Random
from typing import Any, Literal, TypeAlias, cast

from attrs import frozen

from fairlead.kernel import Context, Flow, GiveUp, Suspend

Value: TypeAlias = dict[str, Any]
"""What every step but a map returns: `n`, `items` and `kind`, and by which call of a handler, from which others."""

CALL, MADE_FROM = "call", "made_from"
OF_THIS_COURSE = frozenset({CALL, MADE_FROM})
"""The fields of a value that differ from course to course."""

MODES = ("a", "b", "c")
STEPS_MAX = 7
HOPELESS_ATTEMPTS_MAX = 3
"""The attempts of a step that fails each time: so few that faults use them up as well."""

ATTEMPTS_MAX = 25
"""More than faults can use up, so that a flow's own failures decide how it ends."""

TAKES_S = (0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 3.0, 8.0, 45.0)
"""How long async handlers take: the longest outlive a lease that is not extended."""

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


@frozen(kw_only=True)
class Drawn:
    """A flow, and what clients have to know of it."""

    flow: Flow[Value]
    signals: tuple[str, ...]
    """The steps that wait until somebody answers."""


def random_flow(random: Random, slug: str) -> Drawn:
    """A flow of some steps."""
    flow = Flow(slug, version=1, input=dict[str, Any], max_attempts=ATTEMPTS_MAX, base_delay=1, jitter=0.5)
    drawing = _Drawing(flow, random)
    for number in range(random.randint(1, STEPS_MAX)):
        drawing.add(f"s{number}")
    return Drawn(flow=flow, signals=tuple(drawing.signals))


class _Drawing:
    """A flow in the making."""

    def __init__(self, flow: Flow[Value], random: Random) -> None:
        self.flow = flow
        self.random = random
        self.calls = itertools.count()
        self.plain: list[str] = []
        """Steps that return a `Value`."""
        self.maps: list[str] = []
        self.signals: list[str] = []

    def add(self, slug: str) -> None:
        """One more step."""
        step, map_ = self._step, self._map
        kinds = (step, step, step, step, map_, map_, map_, self._suspending, self._sleep, self._signal, self._hopeless)
        self.random.choice(kinds)(slug)

    def _options(self, *, names: list[str]) -> dict[str, Any]:
        """When a step runs at all, and what its failure means."""
        random = self.random
        options: dict[str, Any] = {}
        if random.random() < 0.25:
            source = random.choice(["input", *(name for name in names if name in self.plain)])
            pattern = {"mode" if source == "input" else "kind": random.choice(MODES)}
            options[random.choice(("when", "unless"))] = {source: pattern}
            options["on_unmet"] = random.choice(("skip", "skip", "skip_cascade", "fail"))
        if random.random() < 0.3:
            options["on_exhausted"] = random.choice(("skip", "skip_cascade"))
        return options

    def _dependencies(self) -> list[str]:
        earlier = [*self.plain, *self.maps, *self.signals]
        return self.random.sample(earlier, min(len(earlier), self.random.choice((0, 1, 1, 2, 3))))

    def _parameters(self, names: list[str]) -> dict[str, Any]:
        types: dict[str, Any] = {name: list[Any] if name in self.maps else dict[str, Any] | None for name in names}
        return types | {name: int | None for name in names if name in self.signals}

    def _step(self, slug: str) -> None:
        random, habits, names = self.random, Habits.drawn(self.random, self.calls), self._dependencies()
        gives_up = random.random() < 0.06

        def returns(ctx: Context, given: Mapping[str, object]) -> Value:
            habits.begin(ctx)
            if gives_up:
                raise GiveUp("never")
            return habits.value(given)

        handler = _handler(slug, habits, returns, {**self._parameters(names), "input": dict[str, Any]}, Value, random)
        self.flow.step(handler, **self._options(names=names))
        self.plain.append(slug)

    def _hopeless(self, slug: str) -> None:
        """A step that fails each time, until its few attempts are used up."""
        random, habits = self.random, Habits.drawn(self.random, self.calls)

        def returns(ctx: Context, given: Mapping[str, object]) -> Value:
            habits.begin(ctx)
            raise ConnectionError("always")

        handler = _handler(slug, habits, returns, {"input": dict[str, Any]}, Value, random)
        attempts = random.randint(1, HOPELESS_ATTEMPTS_MAX)
        policy: Literal["skip", "skip_cascade"] = random.choice(("skip", "skip_cascade"))
        self.flow.step(handler, max_attempts=attempts, on_exhausted=policy)
        self.plain.append(slug)

    def _map(self, slug: str) -> None:
        random, habits = self.random, Habits.drawn(self.random, self.calls)
        sources = ["input.items", *(f"{name}.items" for name in self.plain), *self.maps]
        over = random.choice(sources)
        unreadable = random.choice((None, None, 0, 1))
        """The element that cannot be worked on."""

        def returns(ctx: Context, given: Mapping[str, object]) -> int:
            habits.begin(ctx)
            if ctx.index == unreadable:
                raise GiveUp("unreadable")
            return zlib.crc32(repr(given["item"]).encode()) % 1000

        handler = _handler(slug, habits, returns, {"item": Any}, int, random)
        options = self._options(names=[])
        tolerances: tuple[int | float | Literal["all"], ...] = (0, 1, 0.5, "all")
        tolerance = random.choice(tolerances)
        if random.random() < 0.5:
            options["max_concurrency"] = random.randint(1, 2)
        self.flow.map(handler, over=over, tolerate_failures=tolerance, **options)
        self.maps.append(slug)

    def _suspending(self, slug: str) -> None:
        random, habits, looks = self.random, Habits.drawn(self.random, self.calls), self.random.randint(1, 3)
        check_after = random.choice((0.5, 10, 100))

        def returns(ctx: Context, given: Mapping[str, object]) -> Value | Suspend[int]:
            habits.begin(ctx)
            return Suspend(state=1, check_after=check_after)

        def looked(ctx: Context, given: Mapping[str, object]) -> Value | Suspend[int]:
            state = given["state"]
            assert isinstance(state, int)
            if state < looks:
                return Suspend(state=state + 1, check_after=check_after)
            return habits.value({"state": state})

        suspended: Any = Value | Suspend[int]
        handler = _handler(slug, habits, returns, {"input": dict[str, Any]}, suspended, random)
        step = self.flow.step(handler, **self._options(names=[]))
        check = _handler(f"{slug}_look", Habits.drawn(random, self.calls), looked, {"state": int}, suspended, random)
        self.flow.check(step)(check)
        self.plain.append(slug)

    def _sleep(self, slug: str) -> None:
        random = self.random
        after = random.sample(self.plain, min(len(self.plain), random.randint(0, 1)))
        pause = self.flow.sleep(slug, random.choice((0.1, 20, 3_000, 100_000)), after=after)
        follower = f"{slug}_after"
        habits = Habits.drawn(random, self.calls)
        handler = _handler(
            follower, habits, lambda ctx, given: habits.value(given), {"input": dict[str, Any]}, Value, random
        )
        self.flow.step(handler, after=[pause])
        self.plain.append(follower)

    def _signal(self, slug: str) -> None:
        random = self.random
        after = random.sample(self.plain, min(len(self.plain), random.randint(0, 1)))
        if random.random() < 0.3:  # nobody answers this one
            self.flow.signal(slug, int, after=after, timeout=random.choice((5, 200)), on_timeout="skip")
        else:
            self.flow.signal(slug, int, after=after)
            self.signals.append(slug)


Returns: TypeAlias = Callable[[Context, Mapping[str, object]], Any]


def _handler(
    slug: str, habits: Habits, returns: Returns, parameters: Mapping[str, Any], returned: Any, random: Random
) -> Callable[..., Any]:
    """A handler of these parameters and a context, async or plain."""
    handler: Callable[..., Any] = _plain(returns) if random.random() < 0.3 else _async(returns, habits)
    annotations = {"ctx": Context, **parameters}
    given = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in annotations.items()]
    handler.__name__ = handler.__qualname__ = slug
    handler.__annotations__ = {**annotations, "return": returned}
    handler.__signature__ = Signature(given, return_annotation=returned)  # type: ignore[attr-defined]
    return handler


def _async(returns: Returns, habits: Habits) -> Callable[..., Awaitable[Any]]:
    async def handler(**given: Any) -> Any:
        ctx = given.pop("ctx")
        await asyncio.sleep(habits.takes_s)
        return returns(ctx, given)

    return handler


def _plain(returns: Returns) -> Callable[..., Any]:
    def handler(**given: Any) -> Any:
        ctx = given.pop("ctx")
        return returns(ctx, given)

    return handler


def random_input(random: Random) -> Value:
    """What a run is started with."""
    return {"mode": random.choice(MODES), "items": [random.randrange(9) for _ in range(random.choice((0, 1, 2, 5)))]}
