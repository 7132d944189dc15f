"""A subscriber: a function of the application's that is called for events of some types, as a sink of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ports.clock import Clock
from ..ports.outbox import EventRecord
from ..ports.sink import Caller

CALL_TIMEOUT_S = 9.0
"""How long a subscriber may take for one event: less than a flusher's patience with a sink, so that it is told apart
which event it was."""

TURN_S = 1.0
"""How long a subscriber is called for one event after the other before what it has done is remembered."""


class Subscription:
    """`EventSink` that calls a function for each event.

    It accepts event by event: what was done before an event that failed is not done again. The failure is told when the
    event is offered next, as the first of its batch; so each call with an event is one of its attempts.

    Args:
        function: async, or plain, which is called in a thread. What it raises refuses the event.
        caller: how it is called.
        clock: for its turns.
    """

    def __init__(
        self,
        function: Callable[[EventRecord], object],
        *,
        caller: Caller,
        clock: Clock,
    ) -> None:
        self._function = function
        self._caller = caller
        self._clock = clock
        self._failed: tuple[EventRecord, Exception] | None = None
        """What was raised for an event behind others, which is not told yet."""

    @property
    def is_stuck(self) -> bool:
        """Whether the function was given up for an earlier event, and has not ended yet."""
        return self._caller.is_stuck

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Call the function for one event after the other, for one turn.

        Raises:
            Exception: whatever the function raised for the first event.
        """
        failed, self._failed = self._failed, None
        if failed is not None and failed[0] == batch[0]:
            raise failed[1]
        ends_s = self._clock.monotonic() + TURN_S
        for place, event in enumerate(batch):
            if place and self._clock.monotonic() >= ends_s:
                return place
            try:
                await self._caller.call(self._function, event, timeout_s=CALL_TIMEOUT_S)
            except Exception as error:  # recovers 75: a subscriber's function raises
                if not place:
                    raise
                self._failed = event, error
                return place
        return len(batch)

    async def aclose(self) -> None:
        """Nothing was opened."""
