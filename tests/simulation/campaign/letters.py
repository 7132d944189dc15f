"""Dead letters beside everything else: two sinks that refuse some events for good, and somebody who has them replayed.

One is a sink of the ports and gives such an event up at once; the other is a subscriber and has two attempts for each.
After a while both are well. In the end each has every event of every run, and was told of each gap before it went on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from random import Random
from zlib import crc32

from attrs import define, field

from fairlead.adapters.memory import CollectingSink
from fairlead.hosts.simulation.delivering import LOST, wrongly_delivered
from fairlead.hosts.simulation.world import World
from fairlead.kernel import GiveUp, Kernel, RunDetails
from fairlead.ports.outbox import DeadLetterFilter, EventRecord

REFUSED_PERCENT = (5, 30, 100)
WELL_AFTER_S = (5.0, 20.0, 100.0)

REPLAYED_EVERY_S = (2.0, 15.0)

SUBSCRIBER = "picky"
SUBSCRIBER_ATTEMPTS_MAX = 2


class PickySink(CollectingSink):
    """Gives some events up for good until it is well; of the same events always the same ones."""

    def __init__(self, percent: int) -> None:
        super().__init__()
        self.well = False
        self.lost = 0
        """How many events were announced to it as lost."""
        self._percent = percent

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Accept what is before the first event that it refuses.

        Raises:
            GiveUp: that is the first of all.
        """
        refused = next((place for place, event in enumerate(batch) if self.refuses(event)), len(batch))
        if batch and not refused:
            raise GiveUp("it never takes such events")
        self.lost += sum(event.type == LOST for event in batch[:refused])
        return await super().publish(batch[:refused])

    def refuses(self, event: EventRecord) -> bool:
        """Whether it does not take an event."""
        if self.well or event.type == LOST:
            return False
        return crc32(f"{event.run_id}/{event.sequence}".encode()) % 100 < self._percent


@define
class Letters:
    """Who refuses what in one world, and for how long."""

    random: Random
    sink: PickySink
    well_after_s: float
    subscriber: PickySink
    """Keeps what the subscriber was called for."""
    replayed: int = field(default=0)
    """How often somebody was told that dead letters are replayed."""

    @classmethod
    def random_ones(cls, random: Random) -> Letters:
        """Two sinks that refuse some events."""
        return cls(
            random=random,
            sink=PickySink(random.choice(REFUSED_PERCENT)),
            well_after_s=random.uniform(0, random.choice(WELL_AFTER_S)),
            subscriber=PickySink(random.choice(REFUSED_PERCENT)),
        )

    def prepare(self, kernel: Kernel) -> None:
        """Let a kernel call the subscriber."""
        kernel.subscribe("*", self._take, name=SUBSCRIBER, max_attempts=SUBSCRIBER_ATTEMPTS_MAX)

    async def _take(self, event: EventRecord) -> None:
        if self.subscriber.refuses(event):
            raise ConnectionError("it never takes such events")
        self.subscriber.lost += event.type == LOST
        self.subscriber.events.append(event)

    async def play(self, world: World, others: asyncio.Event) -> None:
        """Have dead letters replayed, at first in vain, until the others have done what they do and none is left."""
        async with asyncio.TaskGroup() as acts:
            acts.create_task(self._recover())
            acts.create_task(self._replay(world, others))

    async def _recover(self) -> None:
        await asyncio.sleep(self.well_after_s)
        self.sink.well = self.subscriber.well = True

    async def _replay(self, world: World, others: asyncio.Event) -> None:
        async def replay(kernel: Kernel) -> bool:
            self.replayed += await kernel.replay_dead_letters(DeadLetterFilter())
            return True

        while not (self.sink.well and others.is_set() and world.over() and not world.has_dead_letters):
            await asyncio.sleep(self.random.uniform(*REPLAYED_EVERY_S))
            if world.has_dead_letters:
                await world.insist("replayer", replay)

    def problems(self, runs: Sequence[RunDetails], world: World) -> Iterator[str]:
        """What the subscriber lacks; the sink is judged where it stands in the place of any other."""
        if world.has_dead_letters:
            yield "P5: dead letters are left that were to be replayed"
        for details in runs:
            events = self.subscriber.of_run(details.run.id)
            for problem in wrongly_delivered(events, details.run.next_sequence - 1):
                yield f"subscriber: run {details.run.id}: {problem}"
