"""A sink that is a function of the application's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ports.outbox import EventRecord
from ..calling import PatientCaller

CALL_TIMEOUT_S = 60.0
"""How long a call may take at most; a flusher's patience with a sink, which is shorter, usually ends it."""


class CallableSink:
    """`EventSink` that calls a function with each batch: consecutive events of one run.

    Args:
        function: async, or plain, which is called in a thread. It returns how many of the events it has accepted,
            counted from the first, or None for all; what it raises refuses them.
    """

    def __init__(self, function: Callable[[Sequence[EventRecord]], object]) -> None:
        self._function = function
        self._caller = PatientCaller()

    @property
    def is_stuck(self) -> bool:
        """Whether the function was given up in an earlier call, which has not ended yet."""
        return self._caller.is_stuck

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Call the function.

        Raises:
            TypeError: it returned something else.
            Exception: whatever the function raised.
        """
        accepted = await self._caller.call(self._function, batch, timeout_s=CALL_TIMEOUT_S)
        if accepted is None:
            return len(batch)
        if isinstance(accepted, bool) or not isinstance(accepted, int):
            raise TypeError(f"it returned {accepted!r:.80}, not how many events it accepted, nor None for all")
        return accepted

    async def aclose(self) -> None:
        """Nothing was opened."""
