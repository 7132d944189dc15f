"""Ports that fail on purpose: before the operation, after it, with its answer lost, slowly, or as their caller dies.

Every call of a port is a point at which something may happen. A transaction has a point at each of its own calls, one
at its beginning and one at its commit. An injector that fails only before the operation finds little: the interesting
faults are those where the effect exists and nobody knows.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar, cast

from ...ports.errors import CommitUnknown, Unavailable
from ...ports.outbox import EventRecord
from ...ports.persistence import Persistence, Transaction
from ...ports.records import Lease, LeaseAnswer
from ...ports.transport import Job
from .fate import ENDING, Chance, Fate, Strike
from .faults import Weather
from .timeline import Timeline

T = TypeVar("T")

DELAY_S_MAX = 8.0
"""The longest a port takes to answer: longer than a lock is waited for, and than the shortest of leases."""

LATE_S = 10.0
"""How late a message comes in the mean: often after a host has found its task by polling, or others have ended it."""

READING = ("read_", "find_", "list", "due", "load", "check_", "get", "has")
"""How the names of calls begin that change nothing: of those an error always means that nothing happened."""


class Caller(Protocol):
    """A process as the ports see it."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def alive(self) -> bool:
        """False once it was killed."""
        ...

    def die(self, why: str) -> None:
        """Be killed, now."""
        ...

    def stand_still(self, duration_s: float) -> None:
        """Do nothing for a while from the next moment on, and then go on as if nothing was."""
        ...


class Written(Protocol):
    """Is told that something may have been committed."""

    async def __call__(self, heartbeat: Collection[Lease] | None = None) -> None:
        """Look at it; `heartbeat` are the leases that were to be extended, where that was all."""
        ...


class Strikes:
    """Lets strike what fate decides. One for each world.

    Args:
        weather: how likely what happens apart from the points is, and how long calls take.
        random: the source of all chance.
        timeline: where it is told.
        fate: decides what happens at points; None for chance, as the weather has it.
        kills_left: how many times a process may still be killed or stand still for longer than its leases.
        pause_s: how long a process that is struck stands still.
    """

    def __init__(
        self,
        weather: Weather,
        random: Random,
        timeline: Timeline,
        *,
        fate: Fate | None = None,
        kills_left: int,
        pause_s: float,
    ) -> None:
        self.weather = weather
        self.random = random
        self.timeline = timeline
        self.calm = False
        """Whether nothing strikes: the faults are over, or have not begun."""
        self.kills_left = kills_left
        self.delayed_until_s = 0.0
        """When the last of the calls that are delayed at the moment goes on, in virtual seconds."""
        self.struck: dict[str, int] = {}
        """How often each kind of fault has struck."""
        self._fate: Fate = Chance(weather, random) if fate is None else fate
        self._pause_s = pause_s

    def count(self, kind: str) -> None:
        """A fault strikes."""
        self.struck[kind] = self.struck.get(kind, 0) + 1

    def happens(self, probability: float) -> bool:
        """Whether something of that probability happens now."""
        return not self.calm and probability > 0 and self.random.random() < probability

    async def at(self, caller: Caller, name: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Carry out one port call, or what strikes it.

        Args:
            caller: who calls.
            name: port and method.
            operation: what it would do.
        """
        if not caller.alive:  # a handler that was called in this very turn has killed it
            await _for_ever()
        self.timeline.trace(f"{caller.name} {name}")
        await self._take_time()
        strike = self._strike_at(name)
        if strike is Strike.REFUSED:
            self._note("refused", caller, f"{name} is refused")
            raise Unavailable(f"{name}: the connection was refused")
        if strike is Strike.PAUSED:
            self._note("paused", caller, f"is struck before {name}")
            caller.stand_still(self._pause_s)
            await asyncio.sleep(0)  # which takes until it goes on
        if strike is Strike.KILLED_BEFORE:
            await self._kill(caller, f"before {name}")
        result = await operation()
        if strike is Strike.KILLED_AFTER:
            await self._kill(caller, f"after {name}")
        await self._take_time()
        if strike is Strike.ANSWER_LOST:
            self._note("answer lost", caller, f"the answer to {name} is lost")
            if name.partition(".")[2].startswith(READING):
                raise Unavailable(f"{name}: the connection was lost")
            raise CommitUnknown(f"{name}: the answer was lost")
        return result

    def kill_after_handler(self, caller: Caller) -> None:
        """A handler has ended: perhaps nobody ever learns of it."""
        if self.kills_left > 0 and self.happens(self.weather.killed_after):
            self.kills_left -= 1
            self.count("killed")
            caller.die("is killed before anybody learns of that")

    def pause_after_handler(self, caller: Caller) -> None:
        """A handler has ended: perhaps its host comes to tell of it when others have its task."""
        if self.kills_left > 0 and self.happens(self.weather.paused_after):
            self.kills_left -= 1
            self._note("paused", caller, "is struck before anybody learns of that")
            caller.stand_still(self._pause_s)

    def _strike_at(self, name: str) -> Strike | None:
        strike = None if self.calm else self._fate.strike_at(name)
        if strike in ENDING:
            if self.kills_left <= 0:
                return None
            self.kills_left -= 1
        return strike

    async def _take_time(self) -> None:
        """Let a call take its time."""
        weather = self.weather
        if self.happens(weather.delayed):
            self.count("delayed")
            delay_s = DELAY_S_MAX * self.random.random()
            self.delayed_until_s = max(self.delayed_until_s, self.timeline.time() + delay_s)
            await asyncio.sleep(delay_s)
        elif weather.latency_s:
            await asyncio.sleep(self.random.expovariate(1 / weather.latency_s))

    async def _kill(self, caller: Caller, when: str) -> None:
        self.count("killed")
        caller.die(f"is killed {when}")
        await _for_ever()

    def _note(self, kind: str, caller: Caller, what: str) -> None:
        self.count(kind)
        self.timeline.note(caller.name, what, minor=kind in (Strike.REFUSED, Strike.ANSWER_LOST))


_END = object()
"""Stands for the end of a listing."""


async def _for_ever() -> None:
    """Nothing of whoever waits here runs any more."""
    await asyncio.get_running_loop().create_future()


class Calls:
    """A port all of whose coroutine methods may be struck; in some weathers also what it lists."""

    def __init__(self, inner: object, caller: Caller, strikes: Strikes, name: str) -> None:
        self._inner = inner
        self._caller = caller
        self._strikes = strikes
        self._name = name

    def __getattr__(self, method: str) -> Any:
        attribute: Any = getattr(self._inner, method)
        if inspect.isasyncgenfunction(attribute) and self._strikes.weather.listings:
            return partial(self._listing, method, attribute)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*arguments: Any, **named: Any) -> Any:
            operation = cast("Callable[[], Awaitable[Any]]", partial(attribute, *arguments, **named))
            return await self._struck(method, operation)

        setattr(self, method, call)
        return call

    async def _struck(self, method: str, operation: Callable[[], Awaitable[T]]) -> T:
        return await self._strikes.at(self._caller, f"{self._name}.{method}", operation)

    async def _listing(
        self, method: str, listed: Callable[..., AsyncIterator[Any]], *arguments: Any, **named: Any
    ) -> AsyncIterator[Any]:
        """What is listed; each element, and the end, is a point of its own, since any of them may begin a page."""
        inner = listed(*arguments, **named)
        while True:
            each = await self._struck(method, partial(anext, inner, _END))
            if each is _END:
                return
            yield each

    async def aclose(self) -> None:
        """What is shared stays open."""

    def __repr__(self) -> str:
        """As errors name it: no address, or no two processes would tell the same of a seed."""
        return self._name


class StruckPersistence(Calls):
    """`Persistence` whose calls, transactions' calls and commits may be struck."""

    def __init__(self, inner: Persistence, caller: Caller, strikes: Strikes, written: Written):
        super().__init__(inner, caller, strikes, "persistence")
        self._store = inner
        self._written = written

    async def _struck(self, method: str, operation: Callable[[], Awaitable[T]]) -> T:
        async def watched() -> T:
            result = await operation()
            if not method.startswith(READING):
                await self._written()
            return result

        return await super()._struck(method, watched)

    async def extend_leases(self, leases: Sequence[Lease], until: datetime) -> LeaseAnswer:
        """A heartbeat: whatever has changed with it was changed by it."""

        async def extend() -> LeaseAnswer:
            answer = await self._store.extend_leases(leases, until)
            await self._written(leases)
            return answer

        return await super()._struck("extend_leases", extend)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """A transaction; its commit is a point of its own."""
        manager = self._store.transaction()
        entered = False

        async def begin() -> Transaction:
            nonlocal entered
            transaction = await manager.__aenter__()
            entered = True
            return transaction

        async def commit() -> None:
            nonlocal entered
            entered = False
            await manager.__aexit__(None, None, None)
            await self._written()

        try:
            transaction = await self._strikes.at(self._caller, "transaction.begin", begin)
            yield cast(Transaction, Calls(transaction, self._caller, self._strikes, "transaction"))
            await self._strikes.at(self._caller, "transaction.commit", commit)
        finally:
            if entered:
                rollback = RuntimeError("rolled back")
                await manager.__aexit__(RuntimeError, rollback, None)

    def dedicated(self) -> AbstractAsyncContextManager[Persistence]:
        """A second handle, struck like the first."""
        return self._dedicated()

    @asynccontextmanager
    async def _dedicated(self) -> AsyncGenerator[Persistence]:
        async with self._store.dedicated() as handle:
            yield cast(Persistence, StruckPersistence(handle, self._caller, self._strikes, self._written))


class StruckTransport(Calls):
    """`JobTransport` whose messages are lost, come twice, or come late and so after others."""

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Put messages, or not, or twice, or later."""
        strikes = self._strikes
        put: list[Job] = []
        for job in jobs:
            if not strikes.happens(strikes.weather.misdelivered):
                put.append(job)
                continue
            fate = strikes.random.choice(("lost", "duplicated", "late"))
            strikes.count(f"message {fate}")
            if fate == "duplicated":
                put.append(job)
            if fate != "lost":
                self._deliver_late(job)
        inner: Any = self._inner
        await self._struck("enqueue", partial(inner.enqueue, put))

    def _deliver_late(self, job: Job) -> None:
        """Put a message after a while: it is on its way, whatever becomes of its sender."""
        inner: Any = self._inner
        late_s = self._strikes.random.expovariate(1 / LATE_S)

        async def arrive() -> None:
            await asyncio.sleep(late_s)
            await inner.enqueue([job])

        nobodys = contextvars.Context()
        asyncio.get_running_loop().create_task(arrive(), context=nobodys)


class StruckBlobs(Calls):
    """`BlobStore` with troubles of its own."""

    async def _struck(self, method: str, operation: Callable[[], Awaitable[T]]) -> T:
        strikes = self._strikes
        if not strikes.happens(strikes.weather.blobs):
            return await super()._struck(method, operation)
        if method == "get" and strikes.random.random() < 0.5:
            strikes.count("blob damaged")
            return cast(T, _damaged(cast(bytes, await operation())))
        strikes.count("blob refused")
        if strikes.random.random() < 0.5:
            await operation()
        raise Unavailable(f"{self._name}.{method}: 503 slow down")


def _damaged(data: bytes) -> bytes:
    """As many bytes, of which the last digit, or byte, is another: what is JSON stays so."""
    place = max((data.rfind(digit) for digit in b"0123456789"), default=-1)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] if place >= 0 else data[:-1]


class StruckSink(Calls):
    """`EventSink` that refuses, hangs, accepts a part, or accepts and then raises."""

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Accept events, or not."""
        strikes, inner = self._strikes, cast(Any, self._inner)
        if strikes.happens(strikes.weather.sink):
            fate = strikes.random.choice(("refuses", "hangs", "accepts a part", "raises after all"))
            strikes.count(f"sink {fate}")
            if fate == "accepts a part":
                return cast(int, await inner.publish(batch[: strikes.random.randrange(len(batch))]))
            if fate == "hangs":
                await asyncio.sleep(1_000)
            elif fate == "raises after all":
                await inner.publish(batch)
            raise ConnectionError(f"the sink {fate}")
        accepted: int = await self._struck("publish", partial(inner.publish, batch))
        return accepted
