"""Commands about committed events: publishing them, and what became of those that could not be."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from ...ports.outbox import DeadLetterFilter
from ...ports.record import Record
from ...ports.sink import DEFAULT_SINK
from .base import Command, at_least

PUBLISH_TIMEOUT = timedelta(seconds=10)
"""How long a sink may take for one call."""

REPLAY_BATCH = 1_000
"""Dead letters that are asked for in one transaction."""


class FlushOutbox(Command["Flushed"], frozen=True, kw_only=True):
    """Publish committed events through one of the kernel's sinks. Repeatable: at worst an event is published again."""

    needs_flows: ClassVar[bool] = False

    worker: str
    lease_duration: timedelta
    """Longer than twice `publish_timeout`: half of it goes by before nothing new is begun."""
    sink: str = DEFAULT_SINK
    limit: int = 500
    """Outbox rows read at a time."""
    publish_timeout: timedelta = PUBLISH_TIMEOUT

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class Flushed(Record, frozen=True, kw_only=True):
    """What a flush did."""

    published: int
    """Events that the sink accepted and that are recorded so, those included that are dead letters by now."""
    held_back: tuple[tuple[str, str], ...] = ()
    """(run id, what the sink raised or did) for each run whose events wait for a later flush."""
    dead: int = 0
    """Events that became dead letters."""
    replayed: int = 0
    """Dead letters that the sink accepted."""
    paused: bool = False
    """Whether the sink is given a pause, since it accepted nothing."""
    stuck: bool = False
    """Whether a call of the sink that took too long has not ended in this process, so that it is given
    nothing here."""
    problem: str = ""
    """What the sink raised or did the last time that it refused in this process."""

    @property
    def accepted(self) -> int:
        """Events that the sink accepted."""
        return self.published + self.replayed

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do, or others are doing it."""
        return not (self.accepted or self.held_back)


class ReplayDeadLetters(Command[int], frozen=True, kw_only=True):
    """Let dead letters be published again by the hosts that have their sinks. Repeatable; twice is once.

    They are published in order per run, a bounded number with each flush. One that is refused again stays.
    Its answer is how many are published that were not asked for before, or with `dry_run` would be.
    """

    needs_flows: ClassVar[bool] = False

    chosen: DeadLetterFilter
    dry_run: bool = False


class RemoveSink(Command[bool], frozen=True):
    """Forget a sink: no event waits for it, and its dead letters are gone. Repeatable; False where there is none."""

    needs_flows: ClassVar[bool] = False

    name: str
