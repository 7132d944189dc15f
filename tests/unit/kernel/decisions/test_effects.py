"""The decisions under a machine that owns what is under way: every outcome may come late, twice, never, or after a
rerun, a cancel or a crash.

Hypothesis chooses flows, what happens and in which order, and makes the course short where a rule or an invariant
fails: then it prints the calls that lead there. `test_random_courses` plays long courses of the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from fairlead.kernel.commands import Outcome, RerunRun
from fairlead.kernel.decisions.handover import NOBODY
from fairlead.kernel.plan import NO_QUESTIONS, Plan, StepKind
from fairlead.ports.records import ClaimedTask, Lease, RunRow
from fairlead.ports.statuses import TERMINAL_RUN, RunStatus
from tests.support.model_invariants import check_rows
from tests.support.model_waits import WITHOUT_ANSWER
from tests.support.random_course import RandomCourse, random_capacity
from tests.support.random_flows import plain_facts, random_outcome, random_plan, random_waits
from tests.support.records import LEASE_S

pytestmark = pytest.mark.fault(38, 39, 62, 63, 64, 65)

RANDOM = st.randoms(use_true_random=False)
WORKERS = st.sampled_from(["one", "two"])
KEYS = st.sampled_from("ab")
PAYLOADS = st.sampled_from([b'"yes"', b'"no"'])


class Effects(RuleBasedStateMachine):
    """Hosts, handlers that are at work, and outcomes that are on their way to the store."""

    at_work: Bundle[ClaimedTask] = Bundle("at_work")
    """Attempts whose handlers have not ended. Their leases may have been lost long ago."""
    under_way: Bundle[Outcome] = Bundle("under_way")
    """Outcomes that were not delivered yet, or will be once more."""

    def __init__(self) -> None:
        super().__init__()
        self.crashed: set[Lease] = set()
        """Of attempts that ended with their host."""
        self.sent: list[Outcome] = []
        """Every outcome that ever was under way."""

    @initialize(random=RANDOM, draw=st.sampled_from([random_plan, random_waits]))
    def start(self, random: Random, draw: Callable[[Random, str], Plan]) -> None:
        """Put some runs down."""
        self.course = RandomCourse(random, draw)

    # Hosts

    @rule(target=at_work, random=RANDOM)
    def claim_runs(self, random: Random) -> MultipleResults[ClaimedTask]:
        """A host claims all pending runs, and may be handed tasks with them."""
        before = len(self.course.given)
        if self.course.model.pending():
            self.course.claim(len(self.course.model.runs), random_capacity(random))
        return multiple(*self.course.given[before:])

    @rule(target=at_work, worker=WORKERS)
    def claim_tasks(self, worker: str) -> MultipleResults[ClaimedTask]:
        """A host claims every queued task."""
        return multiple(*[self.course.take(key, worker) for key in self.course.claimable()])

    @rule(target=under_way, tasks=st.lists(consumes(at_work), min_size=1, max_size=4), random=RANDOM)
    def end(self, tasks: Sequence[ClaimedTask], random: Random) -> MultipleResults[Outcome]:
        """Handlers end: well, badly, or with a wait. Nobody has been told yet."""
        left = (task for task in tasks if _lease(task) not in self.crashed)
        outcomes = [random_outcome(random, task, self.course.plans[task.flow_id]) for task in left]
        self.sent += outcomes
        return multiple(*outcomes)

    @rule(outcomes=st.lists(consumes(under_way), min_size=1, max_size=4), random=RANDOM)
    def deliver(self, outcomes: Sequence[Outcome], random: Random) -> None:
        """Outcomes reach the store in one batch, in any order, however late."""
        self._settle(outcomes, random)

    @rule(outcome=under_way, random=RANDOM)
    def duplicate(self, outcome: Outcome, random: Random) -> None:
        """An outcome reaches the store whose answer is lost, so it will come again."""
        self._settle([outcome], random)

    @rule(outcome=consumes(under_way))
    def drop(self, outcome: Outcome) -> None:
        """An outcome never reaches the store, since its host dies over it."""

    @rule(worker=WORKERS)
    def crash(self, worker: str) -> None:
        """A host dies: its handlers end with it."""
        held = (task for task in self.course.held() if self.course.model.tasks[task.key].worker == worker)
        self.crashed.update(map(_lease, held))

    # Time

    @rule(seconds=st.sampled_from([1, 6, int(LEASE_S) + 1]))
    def advance(self, seconds: int) -> None:
        """Delays end, leases run out, deadlines pass."""
        self.course.now += timedelta(seconds=seconds)

    @rule()
    def reap(self) -> None:
        """Somebody takes back what nobody extended."""
        self.course.reap(self.course.now)

    @rule()
    def wake(self) -> None:
        """Somebody looks at the waits whose time has come."""
        self.course.wake(self.course.now)

    @rule()
    def expire(self) -> None:
        """Somebody looks for runs past their deadlines."""
        self.course.expire()

    # Users

    @rule(data=st.data(), key=KEYS, payload=PAYLOADS)
    def signal(self, data: st.DataObject, key: str, payload: bytes) -> None:
        """Somebody answers a step of a run: late, again, with another payload, or one that takes no answer."""
        run = self._drawn_run(data)
        plan = self.course.plans[run.flow_id]
        signals = [slug for slug, step in plan.steps.items() if step.kind is StepKind.SIGNAL]
        self._signal(run.id, data.draw(st.sampled_from(signals or list(plan.steps))), key, payload)

    @precondition(lambda self: self._unanswered())
    @rule(data=st.data(), key=KEYS, payload=PAYLOADS)
    def signal_in_time(self, data: st.DataObject, key: str, payload: bytes) -> None:
        """Somebody answers a step that waits, or is still to: for the first time, or anew in another generation."""
        self._signal(*data.draw(st.sampled_from(self._unanswered())), key, payload)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Somebody cancels a run."""
        self.course.cancel(self._drawn_run(data).id)

    @rule(data=st.data(), keep_elements=st.booleans())
    def rerun(self, data: st.DataObject, keep_elements: bool) -> None:
        """Somebody reruns or retries a run while outcomes of its earlier generations are under way."""
        run = self._drawn_run(data)
        named = st.lists(st.sampled_from(list(self.course.plans[run.flow_id].steps)), max_size=2, unique=True)
        self.course.rerun(RerunRun(run_id=run.id, steps=tuple(data.draw(named)), keep_elements=keep_elements))

    @rule(data=st.data(), keep_elements=st.booleans())
    def end_and_rerun(self, data: st.DataObject, keep_elements: bool) -> None:
        """All runs end well, and one begins anew from a step, which chance alone would hardly do."""
        self.course.end()
        run = self._drawn_run(data)
        step = data.draw(st.sampled_from(list(self.course.plans[run.flow_id].steps)))
        self.course.rerun(RerunRun(run_id=run.id, steps=(step,), keep_elements=keep_elements))

    # What holds

    @invariant()
    def rows_are_sound(self) -> None:
        """Every invariant of the rows; what a transaction may change is checked after each by the course."""
        check_rows(self.course.model, self.course.plans)

    def teardown(self) -> None:
        """Every run comes to its end, whatever was lost, and changes nothing any more when the rest arrives."""
        if hasattr(self, "course"):
            self.course.end()
            before = self.course.model.rows()
            self.course.settle(self.sent, NOBODY)
            assert self.course.model.rows() == before

    def _settle(self, outcomes: Sequence[Outcome], random: Random) -> None:
        ended = [run for run in self.course.model.runs.values() if run.status in TERMINAL_RUN]
        self.course.settle(outcomes, random_capacity(random))
        assert all(self.course.model.runs[run.id] == run for run in ended), "P3: what has ended stays as it is"

    def _signal(self, run_id: str, step: str, key: str, payload: bytes) -> None:
        questions = self.course.plans[self.course.model.runs[run_id].flow_id].questions
        self.course.signal(run_id, step, key, payload, plain_facts(questions.get(step, NO_QUESTIONS)))

    def _unanswered(self) -> list[tuple[str, str]]:
        """Signal steps of runs that go on which have no answer yet."""
        found: list[tuple[str, str]] = []
        for name, step in self.course.model.steps.items():
            run = self.course.model.runs[step.run_id]
            kind = self.course.plans[run.flow_id].steps[step.slug].kind
            if run.status is RunStatus.RUNNING and kind is StepKind.SIGNAL and step.status in WITHOUT_ANSWER:
                found.append(name)
        return found

    def _drawn_run(self, data: st.DataObject) -> RunRow:
        return data.draw(st.sampled_from(list(self.course.model.runs.values())))


def _lease(task: ClaimedTask) -> Lease:
    return Lease(task.key, task.token)


TestEffects = Effects.TestCase
TestEffects.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
