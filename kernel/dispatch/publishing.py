"""Publishing committed events, and what operators do about those that could not be."""

from __future__ import annotations

from msgspec.structs import replace

from ..commands import REPLAY_BATCH, Flushed, FlushOutbox, RemoveSink, ReplayDeadLetters
from ..errors import InvalidArgument
from ..sinks import Sinks
from .flushing import flush
from .means import Handlers, Means
from .offering import Offering


class Publishing:
    """Carries out `FlushOutbox`, `ReplayDeadLetters` and `RemoveSink`."""

    def __init__(self, means: Means, sinks: Sinks) -> None:
        self._means = means
        self._sinks = sinks
        self._offerings: dict[str, Offering] = {}

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {FlushOutbox: self._flush, ReplayDeadLetters: self._replay, RemoveSink: self._remove}

    async def _flush(self, command: FlushOutbox) -> Flushed:
        sink = self._sinks.by_name.get(command.sink)
        if sink is None:
            names = ", ".join(map(repr, self._sinks.by_name)) or "none"
            raise InvalidArgument("sink", f"the name of one of the kernel's sinks, which are {names}", command.sink)
        offering = self._offerings.setdefault(sink.name, Offering(sink))
        return await flush(self._means.persistence, offering, self._means.clock, command)

    async def _replay(self, command: ReplayDeadLetters) -> int:
        persistence = self._means.persistence
        if command.dry_run:
            return await persistence.count_dead_letters(replace(command.chosen, asked=False))
        total, batch = 0, REPLAY_BATCH
        while batch == REPLAY_BATCH:
            batch = await self._means.from_the_top(
                lambda: persistence.ask_for_replay(command.chosen, now=self._means.clock.now(), limit=REPLAY_BATCH)
            )
            total += batch
        return total

    async def _remove(self, command: RemoveSink) -> bool:
        return await self._means.from_the_top(lambda: self._means.persistence.remove_sink(command.name))
