"""One run of one flow on the model, decided on in single steps by tests that are about one rule each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from fairlead.kernel.commands import Capacity, Outcome, RunRequest, Verdict
from fairlead.kernel.decisions.claim import claim_runs
from fairlead.kernel.decisions.handover import HandOver
from fairlead.kernel.decisions.settle import reap_tasks, settle_tasks
from fairlead.kernel.decisions.settled import Settled
from fairlead.kernel.decisions.start import start_run
from fairlead.kernel.decisions.state import ChangeSet
from fairlead.kernel.decisions.wake import wake_tasks
from fairlead.kernel.elements import Kind
from fairlead.kernel.facts import Facts
from fairlead.kernel.plan import Plan, StepKind, StepPlan, ValuePath
from fairlead.ports.records import ClaimedTask, RunRow, Snapshot, StepRow, TaskKey, TaskRow

from .model import Model
from .model_invariants import check_rows
from .records import LEASE_S, START, run_id

FLOW_ID = 1


def flow(*steps: StepPlan) -> Plan:
    """A flow of these steps."""
    return Plan(slug="flow", version="1", fingerprint="shape", steps={step.slug: step for step in steps})


def step(slug: str, *dependencies: str, max_attempts: int = 3, start_delay_s: float = 0) -> StepPlan:
    """A step with one task."""
    return StepPlan(slug=slug, dependencies=dependencies, max_attempts=max_attempts, start_delay_s=start_delay_s)


def map_over(name: str, slug: str, *, max_concurrency: int | None = None) -> StepPlan:
    """A map over the whole of the input, or of an earlier step's output."""
    dependencies = () if name == "input" else (name,)
    source = ValuePath(name=name)
    return StepPlan(
        slug=slug, kind=StepKind.MAP, dependencies=dependencies, source=source, max_concurrency=max_concurrency
    )


def lengths(**found: int | Kind) -> bytes:
    """Facts that say how long the arrays of a payload are."""
    return msgspec.json.encode(Facts(lengths=dict(found)))


def capacity(
    slots: int = 0, *, queues: tuple[str, ...] = ("default",), minimum_priority: int | None = None
) -> Capacity:
    """A host with this many slots."""
    return Capacity(
        worker="host",
        flow_ids=(FLOW_ID,),
        queues=queues,
        slots=slots,
        lease_duration=timedelta(seconds=LEASE_S),
        minimum_priority=minimum_priority,
    )


class Deciding:
    """Takes decisions on one run, applies them to the model and checks its rows."""

    def __init__(self, plan: Plan, *, facts: bytes | None = None, priority: int = 0) -> None:
        self.plan = plan
        self.plans = {FLOW_ID: plan}
        self.model = Model()
        self.run = run_id(1)
        request = RunRequest(flow_id=FLOW_ID, input=b"{}", facts=facts, priority=priority)
        self.model.insert(start_run(request, FLOW_ID, plan, run_id=self.run, now=START))

    def key(self, slug: str, element: int = 0) -> TaskKey:
        """A task of the run."""
        return TaskKey(self.run, slug, 1, element)

    def claim_run(self, host: Capacity | None = None, *, now: datetime = START) -> ChangeSet:
        """Claim the pending run."""
        hand_over = HandOver(host or capacity(), now)
        changes = claim_runs(self.model.pending(), self.plans, now=now, hand_over=hand_over)
        return self._applied(changes)

    def claim(self, slug: str, element: int = 0, *, now: datetime = START) -> ClaimedTask:
        """Claim a queued task."""
        return self.model.claim(self.key(slug, element), worker="host", until=now + timedelta(seconds=LEASE_S))

    def settle(
        self,
        *outcomes: Outcome,
        host: Capacity | None = None,
        now: datetime = START,
        snapshot: Snapshot | None = None,
        absent: Verdict = Verdict.STALE,
    ) -> Settled:
        """Settle outcomes on all rows of the run, or on a snapshot that lacks some."""
        found = self.everything(outcomes) if snapshot is None else snapshot
        while True:
            settled = settle_tasks(
                outcomes,
                found,
                self.plans,
                now=now,
                hand_over=HandOver(host or capacity(), now),
                absent=absent,
            )
            if not settled.elements:
                break
            elements = {request: self.model.elements(request) for request in settled.elements}
            found = replace(found, elements={**found.elements, **elements})
        if settled.complete:
            self._applied(settled.changes)
        return settled

    def reap(self, *expired: TaskRow, now: datetime, before: datetime) -> Settled:
        """Take back what ran out."""
        settled = reap_tasks(
            expired,
            self.model.snapshot([task.key for task in expired], list(self.model.steps)),
            self.plans,
            now=now,
            before=before,
            hand_over=HandOver(capacity(), now),
        )
        self._applied(settled.changes)
        return settled

    def wake(self, *found: TaskRow, now: datetime, snapshot: Snapshot | None = None) -> Settled:
        """Look at waits whose time has come; what the decision lacks is not given to it."""
        rows = self.model.snapshot([task.key for task in found], list(self.model.steps))
        settled = wake_tasks(found, snapshot or rows, self.plans, now=now, hand_over=HandOver(capacity(), now))
        if settled.complete:
            self._applied(settled.changes)
        return settled

    def everything(self, outcomes: Sequence[Outcome]) -> Snapshot:
        """All rows that outcomes can concern."""
        return self.model.snapshot([outcome.key for outcome in outcomes], list(self.model.steps))

    def neighbours(self, slug: str) -> list[tuple[str, str]]:
        """What the dispatcher loads for the end of a step's task."""
        return [(self.run, each) for each in self.plan.neighbours[slug]]

    @property
    def row(self) -> RunRow:
        """The run as it stands."""
        return self.model.runs[self.run]

    def step(self, slug: str) -> StepRow:
        """A step as it stands."""
        return self.model.steps[self.run, slug]

    def task(self, slug: str, element: int = 0) -> TaskRow:
        """A task as it stands."""
        return self.model.tasks[self.key(slug, element)]

    @property
    def told(self) -> list[str]:
        """The events so far: their types, with the step they are of."""
        return [" ".join(filter(None, (event["type"], event.get("step")))) for event in self.model.events[self.run]]

    def _applied(self, changes: ChangeSet) -> ChangeSet:
        self.model.apply(changes.frozen())
        check_rows(self.model, self.plans)
        return changes
