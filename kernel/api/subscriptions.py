"""Events outside the kernel: subscribers, sinks, and what could not be delivered to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...ports.outbox import DeadLetterCursor, DeadLetterFilter, DeadLetterPage, EventRecord, SinkRecord
from ..arguments import checked_page_limit, checked_text
from ..commands import RemoveSink, ReplayDeadLetters
from ..decisions.holding import ATTEMPTS_MAX
from ..errors import InvalidArgument
from ..events import EVENT_TYPES
from ..filters import checked_dead_letters
from ..hints import closest
from ..sinks import SINK_NAME_LENGTH_MAX
from ..subscription import Subscription
from .commanding import Commanding

WAITING_COUNTED_MAX = 10_000
"""How far the rows are counted that wait for a sink: nobody needs to know more exactly how bad it is."""

DEAD_LETTERS_PER_PAGE_MAX = 1_000
"""Dead letters in one page."""


class Subscribing(Commanding):
    """Who is told what happens, and what they were not told."""

    @property
    def sink_names(self) -> tuple[str, ...]:
        """The names of this kernel's sinks, subscribers included."""
        return tuple(self._sinks.by_name)

    def subscribe(
        self,
        types: str | Iterable[str],
        handler: Callable[[EventRecord], object],
        *,
        name: str | None = None,
        max_attempts: int = ATTEMPTS_MAX,
    ) -> None:
        """Let a function be called for events of some types, at least once each, by one of the hosts of this kernel.

        It is called after the event was committed, outside every transaction, for the events of one run in order. What
        it raises, or does not end within `CALL_TIMEOUT_S`, is tried again with a growing delay, and holds back the
        later events of that run alone; other subscribers do not notice. After `max_attempts`, or at once where it
        raises `GiveUp`, the event is a dead letter. `event.run_id` and `event.sequence` together name an event, for
        those who must not do a thing twice.

        Args:
            types: such as `"run.completed"`, one or several, or `"*"` for all; `event.lost` is told to those who ask.
            handler: async, or a plain function, which is called in a thread. It is given the `EventRecord`.
            name: of the subscriber. It stands for it in the store: another name is another subscriber, and the old one
                is owed its events until it is removed. Where None, the handler's module and qualified name.
            max_attempts: how often the handler is tried with an event, at least 1. The second time comes a second after
                the first, and each further one after twice the time, up to ten minutes.

        Raises:
            KernelInUse: the kernel was used before.
            InvalidArgument: there is no such type, the handler cannot be called or has no name, the name is taken, or
                `max_attempts` is no such number.
        """
        chosen = _checked_types(types)
        if not callable(handler):  # pyright: ignore[reportUnnecessaryComparison]
            raise InvalidArgument("handler", "a function that takes an event", handler)
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int) or max_attempts < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("max_attempts", "a whole number from 1 on", max_attempts)
        subscription = Subscription(handler, caller=self.ports.new_caller(), clock=self.ports.clock)
        name = _name_of(handler) if name is None else name
        self._sinks.add(name, subscription, types=chosen, attempts_max=max_attempts)

    async def sinks(self) -> list[SinkRecord]:
        """All sinks that the store knows, of this kernel or not, by name, with what waits for them.

        What waits is counted up to `WAITING_COUNTED_MAX`.
        """
        return [*await self.ports.persistence.read_sinks(count_max=WAITING_COUNTED_MAX)]

    async def remove_sink(self, name: str) -> bool:
        """Forget a sink that nobody has any more: no event waits for it, and its dead letters are gone.

        A process that still has it does not publish to it any more, and makes it known again when it is restarted.

        Returns:
            False where the store knows no such sink.

        Raises:
            InvalidArgument: `name` can be no sink's.
        """
        return await self.dispatch(RemoveSink(checked_text("name", name, SINK_NAME_LENGTH_MAX)))

    async def dead_letters(
        self, chosen: DeadLetterFilter | None = None, *, limit: int = 100, after: DeadLetterCursor | None = None
    ) -> DeadLetterPage:
        """Events that a sink never accepted, by sink, run and sequence, in pages.

        Args:
            chosen: which; None for all.
            limit: dead letters per page, 1 to `DEAD_LETTERS_PER_PAGE_MAX`.
            after: `next` of the page before.

        Raises:
            InvalidArgument, LimitExceeded: `limit` is out of bounds, or no dead letter can be what is chosen.
            AdapterError: the store failed.
        """
        checked_page_limit(limit, DEAD_LETTERS_PER_PAGE_MAX, what="dead letters per page")
        wanted = checked_dead_letters(chosen or DeadLetterFilter())
        found = await self.ports.persistence.list_dead_letters(wanted, limit=limit + 1, after=after)
        letters = found[:limit]
        if len(found) == len(letters):
            return DeadLetterPage(letters, None)
        last = letters[-1]
        return DeadLetterPage(letters, DeadLetterCursor(last.sink, last.event.run_id, last.event.sequence))

    async def replay_dead_letters(self, chosen: DeadLetterFilter, *, dry_run: bool = False) -> int:
        """Let dead letters be published again, in order per run and a bounded number at a time, beside what is new.

        The hosts that have their sinks do it. One that is refused again stays a dead letter; ask again. Asking twice
        is asking once.

        Args:
            chosen: which; `DeadLetterFilter()` for all.
            dry_run: only tell how many.

        Returns:
            How many are published that nobody had asked for.

        Raises:
            InvalidArgument: no dead letter can be what is chosen.
            AdapterError: the store failed.
        """
        return await self.dispatch(ReplayDeadLetters(chosen=checked_dead_letters(chosen), dry_run=dry_run))


def _checked_types(types: str | Iterable[str]) -> frozenset[str] | None:
    """The types; None for all."""
    named = (types,) if isinstance(types, str) else tuple(types)
    if not named:
        raise InvalidArgument("types", "at least one type of event", types)
    for each in named:
        if each != "*" and each not in EVENT_TYPES:
            close = closest(str(each), EVENT_TYPES)
            hint = f"there are {', '.join(EVENT_TYPES)}" if close is None else f"did you mean {close!r}?"
            raise InvalidArgument("types", f"types of events, or '*'; {hint}", each)
    return None if "*" in named else frozenset(named)


def _name_of(handler: Callable[..., object]) -> str:
    name = f"{getattr(handler, '__module__', '')}.{getattr(handler, '__qualname__', '')}"
    if name.startswith(".") or name.endswith(".") or "<" in name:
        raise InvalidArgument("name", "a name that stays the same, since the handler has none; pass name=", None)
    return name
