"""Random courses of runs: whatever may happen, drawn from a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from random import Random

from fairlead.kernel.commands import Capacity, Outcome, RerunRun, RunRequest
from fairlead.kernel.plan import INPUT, NO_QUESTIONS, Plan, StepKind
from fairlead.ports.records import ClaimedTask, Lease, WaitsFor
from fairlead.ports.statuses import TERMINAL_RUN

from .course import Course
from .random_flows import ELEMENTS, QUEUES, random_facts, random_outcome, random_plan
from .records import LEASE_S

RUNS_MAX = 3
FLOW_IDS = (1, 2)


class RandomCourse(Course):
    """Some runs of two flows, hosts that come and go, and every order in which they can meet.

    Every method is something that may happen; what exactly, is drawn from the generator that it gets.
    """

    def __init__(
        self,
        random: Random,
        draw: Callable[[Random, str], Plan] = random_plan,
        lengths_of_inputs: Sequence[int] = ELEMENTS,
    ) -> None:
        plans = {flow_id: draw(random, f"flow{flow_id}") for flow_id in FLOW_IDS}
        super().__init__(
            plans, [_request(random, plans, lengths_of_inputs) for _ in range(random.randint(1, RUNS_MAX))]
        )
        self.cancelled = False

    def claim_pending_runs(self, random: Random) -> None:
        """A host claims some pending runs."""
        pending = self.model.pending()
        if pending:
            self.claim(random.randint(1, len(pending)), random_capacity(random))

    def claim_a_task(self, random: Random) -> None:
        """A host claims a queued task."""
        for key in random.sample(self.claimable(), min(1, len(self.claimable()))):
            self.take(key, "claiming")

    def settle_anything(self, random: Random) -> None:
        """A host writes outcomes back: under tokens that hold, that never held again, that were used before."""
        leases = {Lease(task.key, task.token): task for task in self.given}
        tasks = random.sample(list(leases.values()), min(random.randint(1, 5), len(leases)))
        self.settle(self._outcomes(tasks, random), random_capacity(random))

    def work(self, random: Random) -> None:
        """A host claims what it can and settles some of what it holds, in one batch."""
        self.now += timedelta(seconds=random.choice([0, 6]))
        if self.model.pending():
            self.claim(RUNS_MAX, random_capacity(random))
        for key in self.claimable():
            self.take(key, "claiming")
        held = self.held()
        tasks = random.sample(held, min(random.randint(1, 9), len(held)))
        self.settle(self._outcomes(tasks, random), random_capacity(random))

    def pass_time(self, random: Random) -> None:
        """Delays end, leases run out."""
        self.now += timedelta(seconds=random.choice([1, 6, LEASE_S + 1]))

    def take_back(self, random: Random) -> None:
        """Somebody takes back what nobody extended."""
        self.reap(self.now - timedelta(seconds=random.choice([0, 2])))

    def look_at_waits(self, random: Random) -> None:
        """Somebody looks at the waits whose time has come."""
        self.wake(self.now - timedelta(seconds=random.choice([0, 2])))

    def look_at_deadlines(self, random: Random) -> None:
        """Somebody looks for runs that are past their deadlines."""
        self.expire()

    def send_a_signal(self, random: Random) -> None:
        """Somebody answers some step of some run, most often one that waits; with one of two keys and two payloads."""
        run = random.choice(list(self.model.runs.values()))
        plan = self.plans[run.flow_id]
        signals = [slug for slug, step in plan.steps.items() if step.kind is StepKind.SIGNAL]
        waiting = [key[:2] for key, task in self.model.tasks.items() if task.waits_for is WaitsFor.SIGNAL]
        steps = [(run.id, slug) for slug in random.choice([signals, signals, [*plan.steps, "unknown"]])]
        run_id, step = random.choice(random.choice([waiting, steps]) or steps or [(run.id, "unknown")])
        key, payload = random.choice("ab"), random.choice([b'"yes"', b'"no"'])
        questions = self.plans[self.model.runs[run_id].flow_id].questions.get(step, NO_QUESTIONS)
        self.signal(run_id, step, key, payload, random_facts(random, questions))

    def rerun_a_run(self, random: Random) -> None:
        """Somebody reruns or retries a run, most often one that has ended, from some steps or from none."""
        runs = list(self.model.runs.values())
        ended = [run for run in runs if run.status in TERMINAL_RUN]
        partly = [run for run in ended if any(self._partly_failed(run.id))]
        run = random.choice(random.choice([partly, partly, ended, runs]) or runs)
        named = random.choice([list(self._partly_failed(run.id)), list(self.plans[run.flow_id].steps)])
        steps = tuple(random.sample(named, min(random.choice([0, 1, 1, 2]), len(named))))
        self.rerun(RerunRun(run_id=run.id, steps=steps, keep_elements=random.random() < 0.7))

    def cancel_a_run(self, random: Random) -> None:
        """Somebody cancels one run, whatever it is at; only one, since little happens to it afterwards."""
        if not self.cancelled:
            self.cancelled = True
            self.cancel(random.choice(list(self.model.runs)))

    def _partly_failed(self, run_id: str) -> Iterator[str]:
        """The maps of a run of whose elements some have failed, and others are completed."""
        for (of, slug), step in self.model.steps.items():
            if of == run_id and step.failed_tasks and self.model.completed(run_id, slug, [step.generation]):
                yield slug

    def _outcomes(self, tasks: Sequence[ClaimedTask], random: Random) -> list[Outcome]:
        return [random_outcome(random, task, self.plans[task.flow_id]) for task in tasks]


def _request(random: Random, plans: dict[int, Plan], lengths_of_inputs: Sequence[int]) -> RunRequest:
    flow_id = random.choice(FLOW_IDS)
    facts = random_facts(random, plans[flow_id].questions[INPUT], lengths_of_inputs)
    return RunRequest(flow_id=flow_id, input=b"{}", facts=facts, priority=random.randint(-1, 1))


def random_capacity(random: Random) -> Capacity:
    """A host with some slots, which may serve not everything."""
    return Capacity(
        worker="handed-over",
        flow_ids=random.choice([FLOW_IDS, FLOW_IDS, FLOW_IDS[:1], ()]),
        queues=random.choice([QUEUES, QUEUES[:1]]),
        slots=random.randint(0, 4),
        lease_duration=timedelta(seconds=LEASE_S),
        minimum_priority=random.choice([None, None, 0, 1]),
    )
