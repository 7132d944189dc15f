"""A sink that keeps what it is given, and refuses on demand: for tests."""

from __future__ import annotations

from collections.abc import Sequence

from ...ports.outbox import EventRecord


class CollectingSink:
    """`EventSink` that keeps every accepted event in `events`, in order of arrival, repetitions included.

    `error`, while set, is raised by every `publish`. `accepted_max`, while set, is how many events of a batch are
    accepted at most.
    """

    def __init__(self) -> None:
        self.events: list[EventRecord] = []
        self.error: Exception | None = None
        self.accepted_max: int | None = None

    def of_run(self, run_id: str) -> list[EventRecord]:
        """The accepted events of one run, in order of arrival."""
        return [event for event in self.events if event.run_id == run_id]

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Keep the events, as far as this sink was not told to refuse them."""
        if self.error is not None:
            raise self.error
        accepted = batch if self.accepted_max is None else batch[: self.accepted_max]
        self.events.extend(accepted)
        return len(accepted)

    async def aclose(self) -> None:
        """Nothing was opened; the events stay."""
