"""Two commands that meet at a scene, and what becomes of both; and the same two, one after the other."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias, cast

from attrs import field, frozen

from fairlead.ports.errors import UsageError
from tests.support.hands import Hands
from tests.support.scenes import PATIENCE_S
from tests.support.stepping import COMMIT

from .arenas import Arena, Scene, anonymous
from .stepping import Steps

Build: TypeAlias = Callable[[Arena], Awaitable[Scene]]
"""Makes a scene."""


TICKS = re.compile(r'"started": ?\d+|"last_tick": ?(null|"[^"]*")')
"""What a schedule tells of its ticks."""

PUBLISHING = ("outbox", "told of ")
"""How the names of the tables begin that say what was published."""


@frozen
class Command:
    """Something that is done at a scene."""

    act: Callable[[Hands, Scene], Awaitable[object]]
    skips: bool = False
    """Whether it leaves what another transaction holds, to find it when it looks again. It is carried out once more
    when both have ended, and answers what became of what: what it left says nothing, and its first word counts. Of each
    thing that word is as in one of the orders: of some it may have come before the other command, of others behind."""
    in_parts: bool = False
    """Whether it publishes run by run, each time with transactions of its own, so that the other command comes between:
    what became of each event is as in one of the orders."""
    fires: bool = False
    """Whether it fires schedules. A tick that is fired while somebody else writes its schedule starts its run, and is
    not counted: what a schedule tells of its ticks is left out of what is compared with a command that writes it."""
    schedules: bool = False
    """Whether it writes schedules."""


@frozen
class Became:
    """What came out."""

    answers: tuple[object, object]
    """Of both commands."""
    rows: Mapping[str, list[str]] = field(repr=False)
    broken: str = field(eq=False)
    """Invariants that do not hold, with the rows that break them."""

    def is_as_in(self, order: Became, orders: Sequence[Became], commands: Sequence[Command]) -> bool:
        """Whether this is what an order comes to, but for what may be as in either of them."""
        in_parts = any(command.in_parts for command in commands)
        return all(
            _answer_is_as_in(side, self, order, orders if command.skips else ())
            for side, command in enumerate(commands)
        ) and all(
            _table_is_as_in(table, self, order, orders if in_parts and table.startswith(PUBLISHING) else ())
            for table in {*self.rows, *order.rows}
        )

    def difference(self, other: Became) -> str:
        """In what this differs from the other."""
        told = [f"answers: {self.answers} / {other.answers}"] if self.answers != other.answers else []
        for table in sorted({*self.rows, *other.rows}):
            here, there = self.rows.get(table, []), other.rows.get(table, [])
            if here != there:
                only_here = [row for row in here if row not in there]
                only_there = [row for row in there if row not in here]
                told.append(f"{table}: {only_here} / {only_there}")
        return "\n    ".join(told)


def _answer_is_as_in(side: int, became: Became, order: Became, either: Sequence[Became]) -> bool:
    if not either:
        return became.answers[side] == order.answers[side]
    answer, *known = (cast("Mapping[object, object]", each.answers[side]) for each in (became, *either))
    things = {thing for each in (answer, *known) for thing in each}
    return all(any(answer.get(thing) == each.get(thing) for each in known) for thing in things)


def _table_is_as_in(table: str, became: Became, order: Became, either: Sequence[Became]) -> bool:
    rows = became.rows.get(table, [])
    if not either:
        return rows == order.rows.get(table, [])
    known = [each.rows.get(table, []) for each in either]
    return all(any(row in each for each in known) for row in rows) and len(rows) in map(len, known)


class Meeting:
    """Two commands of one scene."""

    def __init__(self, arena: Arena, build: Build, first: Command, second: Command) -> None:
        self._arena = arena
        self._build = build
        self._commands = (first, second)
        self._passed: list[str] = []
        """The points of the first where it comes first."""

    async def violations(self, turn: int, *, every_point: bool) -> AsyncIterator[tuple[str, str]]:
        """What should not be: where both were stopped, and how what came out differs from both orders.

        Args:
            turn: which of its commits the first is stopped before, where it is stopped only once.
            every_point: stop each side at every point that it passes, or else only the first before one of its commits.
        """
        orders = [await self.follow(0, 1), await self.follow(1, 0)]
        for became in orders:
            if became.broken:
                yield "one after the other", became.broken
        for stop in range(len(self._passed)) if every_point else _one_of(_commits(self._passed), turn):
            for other in itertools.chain([None], itertools.count() if every_point else ()):
                met = await self.meet(stop, other)
                if met is None:
                    break
                if met.broken or not any(met.is_as_in(order, orders, self._commands) for order in orders):
                    where = f"stopped before {self._passed[stop][:80]!r} ({stop}) and {other}"
                    yield where, met.broken or "\n  or\n    ".join(met.difference(order) for order in orders)

    async def follow(self, *order: int) -> Became:
        """One after the other: `follow(0, 1)` is the first and then the second."""
        scene = await self._arena.bring(self._build)
        answers: list[object] = [None, None]
        for side in order:
            answers[side] = await self._answer(side, scene)
        if order[0] == 0:
            self._passed = list(self._arena.steps[0].passed)
        return await self._afterwards(scene, answers)

    async def meet(self, *stops: int | None) -> Became | None:
        """At once: each side goes as far as its stop, and then the first to its end before the second goes on.

        Returns:
            None where a side has no such point.

        Raises:
            AdapterError: one got into the other's way, as in a deadlock.
        """
        scene = await self._arena.bring(self._build)
        for steps, stop in zip(self._arena.steps, stops, strict=True):
            steps.begin(stop)
        first, second = self._arena.steps
        sides: list[asyncio.Task[object]] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                sides.append(asyncio.create_task(self._answer(0, scene)))
                await self._until(sides[0], first.stopped.wait())
                sides.append(asyncio.create_task(self._answer(1, scene)))
                await self._until(sides[1], second.stopped.wait(), *self._waiting(second, first))
                first.go_on.set()
                await self._until(sides[0], *self._waiting(first, second))
                second.go_on.set()
                answers = await asyncio.gather(*sides)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        for steps, stop in zip(self._arena.steps, stops, strict=True):
            if stop is not None and len(steps.passed) <= stop:
                return None
            steps.begin(None)
        return await self._afterwards(scene, answers)

    @property
    def _may_miss_ticks(self) -> bool:
        return any(each.fires for each in self._commands) and any(each.schedules for each in self._commands)

    def _waiting(self, side: Steps, other: Steps) -> list[Coroutine[Any, Any, object]]:
        """What tells that a side waits for the other, which stands at its stop, or comes to it when it has what it has
        waited for; nobody waits for one that goes on."""

        async def once_it_stands(waits: Callable[[], Awaitable[object]]) -> None:
            await other.stopped.wait()
            await waits()

        if other.go_on.is_set():
            return []
        return [once_it_stands(self._arena.until_waiting), once_it_stands(side.polls.wait)]

    async def _until(self, side: asyncio.Task[object], *others: Coroutine[Any, Any, object]) -> None:
        """Until a side has ended, or something else has happened."""
        happening = [asyncio.create_task(other) for other in others]
        await asyncio.wait([side, *happening], return_when=asyncio.FIRST_COMPLETED)
        for task in happening:
            task.cancel()
        if happening:
            await asyncio.wait(happening)

    async def _answer(self, side: int, scene: Scene) -> object:
        """What a command answers, without the ids in it; a refusal is an answer too."""
        hands = (self._arena.first, self._arena.second)[side]
        names = {run_id: name for name, run_id in scene.runs.items()}
        try:
            answer = await self._commands[side].act(hands, scene)
        except UsageError as error:
            return f"{type(error).__name__}: {anonymous(str(error), names)}"
        if self._commands[side].skips:
            assert isinstance(answer, dict)
            became = cast("dict[object, object]", answer)
            return {anonymous(str(what), names): anonymous(str(how), names) for what, how in became.items()}
        return f"{type(answer).__name__}: {anonymous(str(answer), names)}"

    async def _afterwards(self, scene: Scene, answers: list[object]) -> Became:
        """Look again, with those that may have left something, and see what is there."""
        for side in (0, 1):
            if self._commands[side].skips:
                once, again = answers[side], await self._answer(side, scene)
                assert isinstance(once, dict)
                assert isinstance(again, dict)
                answers[side] = {**again, **once}
        rows = await self._arena.became(scene)
        if self._may_miss_ticks:
            rows = {table: [TICKS.sub("", row) for row in those] for table, those in rows.items()}
        return Became(answers=(answers[0], answers[1]), rows=rows, broken=await self._arena.broken(rows))


def _one_of(places: Sequence[int], turn: int) -> Sequence[int]:
    return places and [places[-1 - turn % len(places)]]


def _commits(points: Sequence[str]) -> list[int]:
    """Where the first is stopped if not everywhere: before each of its commits; before its last call without any."""
    commits = [place for place, name in enumerate(points) if name == COMMIT]
    return commits or [place for place in (len(points) - 1,) if place >= 0]
