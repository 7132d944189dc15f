"""Offering events to a sink, which is code of others: it may raise, hang, or answer nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from attrs import define, evolve, field, frozen

from ...ports.outbox import EventRecord
from ...ports.sink import EarlierCallStuck
from ..failures import problem_of, readable
from ..retry import GiveUp
from ..sinks import NamedSink

PUBLISHED_TOGETHER_MAX = 500
"""Events in one call of a sink."""

ANSWER_NAME_LENGTH_MAX = 100
"""Characters that are told of the name of a class that a sink answered with."""

REFUSED_IN_A_ROW_MAX = 10
"""Runs that a sink may refuse one after the other before it is given a pause."""


@frozen(kw_only=True)
class Answer:
    """What came of one offer."""

    accepted: int = 0
    """How many of the events the sink has now, from the first on."""
    called: bool = True
    """Whether the sink was called at all. Otherwise nothing is known of it."""
    problem: str = ""
    """What it raised or did, where it refused."""
    gave_up: bool = False
    """Whether it says that no further attempt can help with the first event."""

    @property
    def took_it(self) -> bool:
        """Whether the sink was called and dealt with the event, be it that it gave it up."""
        return self.called and (self.accepted > 0 or self.gave_up)

    @property
    def refused(self) -> bool:
        """Whether the sink was called, and did not accept the first event."""
        return self.called and not self.accepted


@define
class Offering:
    """One sink of this process, from one flush to the next: a sink of few events may refuse all and never many at once.

    What it did not ask for it has without being called; that says nothing of whether it is well.
    """

    sink: NamedSink
    problem: str = ""
    """What it raised or did the last time it refused."""
    _refused_runs: set[str] = field(factory=set[str])
    """The runs that it refused since it last dealt with an event, or since its last pause."""

    @property
    def is_stuck(self) -> bool:
        """Whether a call that was given up has not ended yet: until it has, nothing can be offered here."""
        return self.sink.is_stuck

    @property
    def is_down(self) -> bool:
        """Whether it refuses one run after the other."""
        return len(self._refused_runs) >= REFUSED_IN_A_ROW_MAX

    def begin_anew(self) -> None:
        """It is given a pause, and after that another chance."""
        self._refused_runs.clear()

    async def offer(self, events: Sequence[EventRecord], timeout_s: float) -> Answer:
        """Offer the next events of a run, from the first on.

        Args:
            events: at least one.
            timeout_s: how long the sink may take.
        """
        asked = (place for place, event in enumerate(events) if self.sink.asks_for(event))
        places = list(islice(asked, PUBLISHED_TOGETHER_MAX))
        passed = places[0] if places else len(events)
        if passed:
            return Answer(accepted=passed, called=False)
        answer = await self._call(tuple(events[place] for place in places), timeout_s)
        if answer.took_it:
            self._refused_runs.clear()
        elif answer.refused and not self.is_stuck:
            self._refused_runs.add(events[0].run_id)
        if answer.accepted:
            return evolve(answer, accepted=places[answer.accepted - 1] + 1)
        self.problem = answer.problem or self.problem
        return answer

    async def _call(self, batch: tuple[EventRecord, ...], timeout_s: float) -> Answer:
        """Call the sink; a tuple, since a sink may do with a list what it likes."""
        try:
            answer = await self.sink.caller.call(self.sink.sink.publish, batch, timeout_s=timeout_s)
        except EarlierCallStuck:  # recovers 75: the sink is still at a call that was given up
            return Answer(called=False)
        except Exception as error:  # recovers 75: a sink is user code; what it raises concerns this run alone
            return Answer(problem=problem_of(error), gave_up=isinstance(error, GiveUp))
        if isinstance(answer, bool) or not isinstance(answer, int):  # recovers 75: the sink answers no number
            name = readable(type(answer).__name__, ANSWER_NAME_LENGTH_MAX)
            return Answer(problem=f"the sink answered {name}, not how many events it accepted")
        if not 0 <= answer <= len(batch):  # recovers 75: the sink answers a number that cannot be
            return Answer(problem=f"the sink says that it accepted {answer} of {len(batch)} events")
        if not answer:  # recovers 75: the sink accepts nothing
            return Answer(problem="the sink accepted none of the events")
        return Answer(accepted=answer)
