"""The loop that looks after the data: rarely, and beside everything else, since a look at all blobs may take long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import Random

from ..caring import CARE_INTERVAL_S, COLLECT_LOOK_S, Caretaker
from ..ticks import isolated
from .loops import Occasion


class CareLoop:
    """Prunes and collects, each in its own time."""

    def __init__(self, caretaker: Caretaker, random: Random) -> None:
        self.occasion = Occasion()
        self._caretaker = caretaker
        self._random = random
        self._slept_s = 0.0
        """Since somebody last asked whether blobs are to be collected."""

    async def step(self) -> None:
        """Wait, then do what is due. Hosts that were started together do not come all at once."""
        pause_s = CARE_INTERVAL_S * (0.5 + self._random.random())
        await self.occasion.pause(pause_s)
        if self.occasion.stopped:
            return
        steps: Mapping[str, Callable[[], Awaitable[int]]] = {"prune": self._caretaker.prune}
        self._slept_s += pause_s
        if self._slept_s >= COLLECT_LOOK_S:
            self._slept_s = 0.0
            steps = {**steps, "collect": self._caretaker.collect}
        await isolated(steps)
