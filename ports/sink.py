"""EventSink: where published events go, and how code that may hang is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from .outbox import EventRecord

DEFAULT_SINK = "default"
"""The name of a sink that was given without one."""


class EventSink(Protocol):
    """The port. Called outside every transaction and lock, by one flusher at a time for any one run.

    A call that takes longer than the flusher's patience is cancelled and counts as refused. A sink that takes its time
    returns early with the prefix that it has accepted; it is offered the rest at once.
    """

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Take events of one run, in order of their sequence numbers.

        At-least-once: the same events may come again; a sink that minds deduplicates by (run id, sequence). An event
        that was refused for too long is a dead letter: in its place comes an `event.lost` with its sequence number,
        and, if it is replayed, at some time the event itself.

        Returns:
            How many of `batch`, counted from its start, were accepted. The rest is published again later. An
            exception accepts none.
        """
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...


class EarlierCallStuck(TimeoutError):
    """No call was begun, since an earlier one that was given up has not ended. Nothing is said of what was to be called
    for."""

    def __init__(self) -> None:
        super().__init__("an earlier call that took too long has not ended yet")


@runtime_checkable
class MayStick(Protocol):
    """Whatever calls code that cannot be ended. A sink that does so by itself tells it with this property."""

    @property
    def is_stuck(self) -> bool:
        """Whether a call that was given up has not ended yet, so that no further one is begun."""
        ...


class Caller(MayStick, Protocol):
    """Calls code of others, which may hang. One for each piece of code, since it remembers calls that never ended."""

    async def call(self, function: Callable[..., object], *arguments: object, timeout_s: float) -> object:
        """Call an async function in the event loop, or a plain one in a thread of its own, and return what it returns.

        Raises:
            TimeoutError: it took longer than `timeout_s` seconds; it was cancelled, or left alone in its thread.
            EarlierCallStuck: an earlier call that timed out has not ended yet, and no further one was begun.
            Exception: whatever the function raised; `RuntimeError` for what is no `Exception`.
        """
        ...
