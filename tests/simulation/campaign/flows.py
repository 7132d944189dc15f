"""Random flows whose handlers can be called any number of times, on any host, and always give the same.

What a handler returns follows from what it was given, and from nothing else. Some fail a few times first, some give up,
some take longer than a lease or than their time, some block, suspend or note something. So a run that nobody interferes
with ends as the same run does without faults.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Literal, cast

from attrs import frozen

from fairlead.kernel import Context, Flow, GiveUp, Suspend

from .handlers import MODES, Habits, Value, make_handler

STEPS_MAX = 7
HOPELESS_ATTEMPTS_MAX = 3
"""The attempts of a step that fails each time: so few that faults use them up as well."""

ATTEMPTS_MAX = 25
"""More than faults can use up, so that a flow's own failures decide how it ends."""

QUEUES = ("default", "other")

STEP_TIMEOUTS_S = (2, 10)
RUN_TIMEOUTS_S = (40, 400)

STREAMED_MAX = 5
"""Elements of what is written while it is made."""


@frozen(kw_only=True)
class Drawn:
    """A flow, and what clients have to know of it."""

    flow: Flow[Value]
    signals: tuple[str, ...]
    """The steps that wait until somebody answers."""


def random_flows(random: Random, slug: str) -> list[Drawn]:
    """A flow of some steps; now and then in two versions, of which the newer one has one step more."""
    steps, versions = random.randint(1, STEPS_MAX), random.choice((1, 1, 1, 1, 2))
    seed = random.random()
    return [random_flow(Random(seed), slug, steps + version - 1, version=version) for version in range(1, versions + 1)]


def random_flow(random: Random, slug: str, steps: int, *, version: int = 1, retention: float | None = None) -> Drawn:
    """A flow of so many steps, whose runs are kept so many seconds; None for ever."""
    waits_forever = random.random() < 0.06
    options: dict[str, Any] = {"run_timeout": random.choice(RUN_TIMEOUTS_S)} if waits_forever else {}
    if retention is not None:
        options["retention"] = retention
    flow = Flow(
        slug, version=version, input=dict[str, Any], max_attempts=ATTEMPTS_MAX, base_delay=1, jitter=0.5, **options
    )
    drawing = _Drawing(flow, random)
    if waits_forever:
        flow.signal("never", int)
    for number in range(steps):
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
        self.queues = QUEUES if random.random() < 0.2 else QUEUES[:1]

    def add(self, slug: str) -> None:
        """One more step."""
        step, map_ = self._step, self._map
        kinds = (step, step, step, step, map_, map_, map_, self._suspending, self._sleep, self._signal, self._hopeless)
        rare = (self._slow, self._streaming)
        self.random.choice((*kinds, *kinds, *rare))(slug)

    def _options(self, *, names: list[str]) -> dict[str, Any]:
        """When a step runs at all, and what its failure means."""
        random = self.random
        options: dict[str, Any] = {"queue": random.choice(self.queues)}
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

        handler = make_handler(
            slug, habits, returns, {**self._parameters(names), "input": dict[str, Any]}, Value, random
        )
        self.flow.step(handler, **self._options(names=names))
        self.plain.append(slug)

    def _hopeless(self, slug: str) -> None:
        """A step that fails each time, or is never in time, until its few attempts are used up."""
        random, habits = self.random, Habits.drawn(self.random, self.calls)
        timeout: dict[str, Any] = {}
        if random.random() < 0.3:
            habits = habits.hanging(HOPELESS_ATTEMPTS_MAX)
            timeout = {"timeout": random.choice(STEP_TIMEOUTS_S)}

        def returns(ctx: Context, given: Mapping[str, object]) -> Value:
            habits.begin(ctx)
            raise ConnectionError("always")

        handler = make_handler(slug, habits, returns, {"input": dict[str, Any]}, Value, random)
        attempts = random.randint(1, HOPELESS_ATTEMPTS_MAX)
        policy: Literal["skip", "skip_cascade"] = random.choice(("skip", "skip_cascade"))
        self.flow.step(handler, max_attempts=attempts, on_exhausted=policy, **timeout)
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

        handler = make_handler(slug, habits, returns, {"item": Any}, int, random)
        options = self._options(names=[])
        tolerances: tuple[int | float | Literal["all"], ...] = (0, 1, 0.5, "all")
        tolerance = random.choice(tolerances)
        if random.random() < 0.5:
            options["max_concurrency"] = random.randint(1, 2)
        self.flow.map(handler, over=over, tolerate_failures=tolerance, **options)
        self.maps.append(slug)

    def _slow(self, slug: str) -> None:
        """A step that takes too long at first."""
        random = self.random
        habits = Habits.drawn(random, self.calls).hanging(random.randint(1, 2))

        def returns(ctx: Context, given: Mapping[str, object]) -> Value:
            habits.begin(ctx)
            return habits.value(given)

        handler = make_handler(slug, habits, returns, {"input": dict[str, Any]}, Value, random)
        self.flow.step(handler, timeout=random.choice(STEP_TIMEOUTS_S), **self._options(names=[]))
        self.plain.append(slug)

    def _streaming(self, slug: str) -> None:
        """An array that is written while it is made, a map over it, and what is made of that while it is read."""
        random, habits = self.random, Habits.drawn(self.random, self.calls)
        source, each = f"{slug}_made", f"{slug}_each"
        size = random.randrange(STREAMED_MAX + 1)

        def makes(ctx: Context, given: Mapping[str, object]) -> Iterable[int]:
            habits.begin(ctx)
            return (number * number for number in range(size))

        def doubles(ctx: Context, given: Mapping[str, Any]) -> int:
            return cast(int, given["item"]) * 2

        def sums(ctx: Context, given: Mapping[str, Any]) -> Value:
            habits.begin(ctx)
            return habits.value({"sum": sum(given[each])})

        options: dict[str, Any] = {"queue": random.choice(self.queues)}
        self.flow.step(
            make_handler(source, habits, makes, {"input": dict[str, Any]}, Iterable[int], random, plain=True), **options
        )
        doubled = make_handler(each, habits, doubles, {"item": int}, int, random)
        self.flow.map(doubled, over=source, **options)
        self.flow.step(make_handler(slug, habits, sums, {each: Iterable[int]}, Value, random, plain=True), **options)
        self.maps.append(each)
        self.plain.append(slug)

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
        handler = make_handler(slug, habits, returns, {"input": dict[str, Any]}, suspended, random)
        step = self.flow.step(handler, **self._options(names=[]))
        check = make_handler(
            f"{slug}_look", Habits.drawn(random, self.calls), looked, {"state": int}, suspended, random
        )
        self.flow.check(step)(check)
        self.plain.append(slug)

    def _sleep(self, slug: str) -> None:
        random = self.random
        after = random.sample(self.plain, min(len(self.plain), random.randint(0, 1)))
        pause = self.flow.sleep(slug, random.choice((0.1, 20, 3_000, 100_000)), after=after)
        follower = f"{slug}_after"
        habits = Habits.drawn(random, self.calls)
        handler = make_handler(
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


def random_input(random: Random) -> Value:
    """What a run is started with."""
    return {"mode": random.choice(MODES), "items": [random.randrange(9) for _ in range(random.choice((0, 1, 2, 5)))]}
