"""Offering events to a sink, which is code of others: it may raise, hang, or answer nonsense."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from ...ports.outbox import EventRecord
from ..failures import problem_of, readable
from ..sinks import NamedSink

PUBLISHED_TOGETHER_MAX = 500
"""Events in one call of a sink."""

ANSWER_NAME_LENGTH_MAX = 100
"""Characters that are told of the name of a class that a sink answered with."""


@define
class Offering:
    """One sink during one flush."""

    _sink: NamedSink
    _timeout_s: float
    refused_in_a_row: int = 0
    """Offers that it refused since it last accepted anything."""
    accepted_any: bool = False
    problem: str = ""
    """What it raised or did the last time it refused."""

    async def offer(self, events: Sequence[EventRecord]) -> int:
        """How many of these events it accepts, from the first on; 0 means that it refuses."""
        batch = tuple(events[:PUBLISHED_TOGETHER_MAX])  # a sink may do with a list what it likes
        try:
            answer = await self._sink.caller.call(self._sink.sink.publish, batch, timeout_s=self._timeout_s)
        except Exception as error:  # the sink is user code: whatever it raises concerns this run alone
            return self._refused(problem_of(error))
        if isinstance(answer, bool) or not isinstance(answer, int):
            name = readable(type(answer).__name__, ANSWER_NAME_LENGTH_MAX)
            return self._refused(f"the sink answered {name}, not how many events it accepted")
        if not 0 <= answer <= len(batch):
            return self._refused(f"the sink says that it accepted {answer} of {len(batch)} events")
        if not answer:
            return self._refused("the sink accepted none of the events")
        self.accepted_any = True
        self.refused_in_a_row = 0
        return answer

    def _refused(self, problem: str) -> int:
        self.problem = problem
        self.refused_in_a_row += 1
        return 0
