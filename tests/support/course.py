"""Courses of runs: what can be done to them, on a store of dictionaries.

Every decision is taken on the rows that the dispatcher would load, and again on all rows in another order; whatever
it writes is applied to the model, whose rows are counted anew after each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from fairlead.kernel.arrays import missing_arrays
from fairlead.kernel.commands import Capacity, Outcome, RerunRun, RestartedRun, RunRequest, SendSignal, Verdict
from fairlead.kernel.decisions.cancel import cancel_run
from fairlead.kernel.decisions.claim import claim_runs
from fairlead.kernel.decisions.expire import expire_runs
from fairlead.kernel.decisions.handover import NOBODY, HandOver
from fairlead.kernel.decisions.rerun import rerun_run, restart_of
from fairlead.kernel.decisions.settle import reap_tasks, settle_tasks
from fairlead.kernel.decisions.settled import Settled
from fairlead.kernel.decisions.signal import Reception, deliver_signal, keep_signal, receive
from fairlead.kernel.decisions.start import start_run
from fairlead.kernel.decisions.state import ChangeSet
from fairlead.kernel.decisions.wake import wake_tasks
from fairlead.kernel.dispatch.announcing import jobs_of_changes
from fairlead.kernel.plan import NO_QUESTIONS, Plan
from fairlead.kernel.sleeps import missing_times
from fairlead.ports.changes import Changes, Suspension, TaskUpdate
from fairlead.ports.errors import UsageError
from fairlead.ports.records import ClaimedTask, Lease, RunRow, Snapshot, StepRow, TaskKey
from fairlead.ports.statuses import TERMINAL_RUN, RunStatus, StepStatus, TaskStatus

from .model import Model
from .model_invariants import check_changed, check_rows
from .model_reruns import expected_restart
from .model_waits import expected_reception
from .random_flows import ELEMENTS, STEPS_MAX, completed, plain_facts
from .records import LEASE_S, START, run_id

ROUNDS_MAX = 6 * STEPS_MAX * max(ELEMENTS)
"""Enough for every task to be claimed and to end one after the other."""


class Course:
    """Some runs of some flows, and whatever can be done to them.

    Every method is something that happens, exactly as its arguments say; the rows are checked after each.
    """

    def __init__(self, plans: Mapping[int, Plan], requests: Sequence[RunRequest]) -> None:
        self.model = Model()
        self.plans = plans
        self.now: datetime = START
        self.given: list[ClaimedTask] = []
        """Every lease that any host was ever given; most do not hold any more."""
        for number, request in enumerate(requests, 1):
            plan = plans[request.flow_id]
            new = start_run(request, request.flow_id, plan, run_id=run_id(number), now=self.now)
            assert new == start_run(request, request.flow_id, plan, run_id=run_id(number), now=self.now)
            self.model.insert(new)
        check_rows(self.model, self.plans)

    # What happens

    def claim(self, count: int, capacity: Capacity) -> None:
        """A host claims so many pending runs."""
        pending = self.model.pending()[:count]

        signals = {run.id: self.model.sent(run.id) for run in pending if run.signals}

        def decide() -> ChangeSet:
            hand_over = HandOver(capacity, self.now)
            return claim_runs(pending, self.plans, now=self.now, hand_over=hand_over, signals=signals)

        changes = decide()
        assert changes == decide()
        self._apply(changes, capacity)
        assert all(self.model.runs[run.id].status is not RunStatus.PENDING for run in pending)

    def take(self, key: TaskKey, worker: str) -> ClaimedTask:
        """A host claims a queued task."""
        task = self.model.claim(key, worker=worker, until=self.now + timedelta(seconds=LEASE_S))
        self.given.append(task)
        return task

    def settle(self, outcomes: Sequence[Outcome], capacity: Capacity) -> None:
        """A host writes outcomes back, whatever tokens they have."""

        def decide(snapshot: Snapshot) -> Settled:
            return settle_tasks(
                outcomes,
                snapshot,
                self.plans,
                now=self.now,
                hand_over=HandOver(capacity, self.now),
                absent=Verdict.STALE,
            )

        held = {_lease_of(task) for task in self.held()}
        keys = [outcome.key for outcome in outcomes]
        settled = self._decide(keys, decide, capacity)
        mine = {Lease(outcome.key, outcome.token) for outcome in outcomes}
        assert set(settled.verdicts) == mine
        recorded = {lease for lease, _ in self.model.outcomes}
        assert {lease for lease, verdict in settled.verdicts.items() if verdict is Verdict.SETTLED} <= recorded
        for suspension in settled.changes.suspensions:
            over = suspension.give_up_at is not None and suspension.give_up_at <= self.now
            assert not over or suspension.checks == 0, "it should have given up"
        written: list[TaskUpdate | Suspension] = [*settled.changes.tasks, *settled.changes.suspensions]
        assert {Lease(task.key, task.token) for task in written} <= held & mine, "a stale write"
        again = self._decide(keys, decide, capacity)
        assert again.changes.empty, "the same command twice"
        # A task remembers its latest outcome only: an older one in the same batch is stale by now.
        for lease, verdict in settled.verdicts.items():
            assert again.verdicts[lease] is verdict or (lease not in held and again.verdicts[lease] is Verdict.STALE)

    def reap(self, before: datetime) -> None:
        """Somebody takes back what nobody had extended by then."""
        expired = [task for task in self.model.tasks.values() if task.lease_until and task.lease_until < before]
        # What the search for them saw may have changed since.
        expired += [replace(task, token=task.token - 1) for task in expired if task.token > 1]

        def decide(snapshot: Snapshot) -> Settled:
            return reap_tasks(
                expired,
                snapshot,
                self.plans,
                now=self.now,
                before=before,
                hand_over=HandOver(NOBODY, self.now),
            )

        settled = self._decide([task.key for task in expired], decide)
        running = {task.key for task in expired if task.status is TaskStatus.RUNNING}
        assert {lease.key for lease in settled.verdicts} <= running
        assert not settled.changes.claimed

    def wake(self, before: datetime) -> None:
        """Somebody looks at the waits whose time had come then."""
        found = [task for task in self.model.tasks.values() if task.wake_at and task.wake_at <= before]
        # What the search for them saw may have changed since: they are over, or wait for another time.
        stale = [task for task in self.model.tasks.values() if task.wake_at is None or task.wake_at > self.now][-4:]
        everything = [*found, *stale]

        def decide(snapshot: Snapshot) -> Settled:
            hand_over = HandOver(NOBODY, self.now)
            return wake_tasks(everything, snapshot, self.plans, now=self.now, hand_over=hand_over)

        settled = self._decide([task.key for task in everything], decide)
        woken = {lease.key for lease in settled.verdicts}
        assert woken <= {task.key for task in found}
        left = (task for task in self.model.tasks.values() if task.wake_at is not None and task.wake_at <= before)
        assert not any(left), "a wait that was looked at in vain"
        for task in (self.model.tasks[key] for key in woken):
            if task.status is TaskStatus.QUEUED:
                assert self.model.ready_at[task.key] == self.now
        assert self._decide([task.key for task in everything], decide).changes.empty, "every wake counts once"

    def signal(self, run_id: str, step: str, key: str, payload: bytes, facts: bytes | None) -> object:
        """Somebody answers a step; answers what became of it: a `Reception`, or the class of the refusal."""
        run = self.model.runs[run_id]
        plan = self.plans[run.flow_id]
        if step in plan.steps and (any(missing_arrays(plan, step, facts)) or any(missing_times(plan, step, facts))):
            facts = plain_facts(plan.questions[step])  # otherwise it would not have been sent
        command = SendSignal(run_id=run_id, step=step, key=key, payload=payload, facts=facts, digest=payload.hex())
        before, wanted = self.model.rows(), expected_reception(self.model, plan, command)
        reception = self._received(command, plan)
        assert reception is wanted
        if reception is Reception.KEEP:
            self.model.apply(keep_signal(command, run, now=self.now).frozen())
            check_changed(before, self.model)
            check_rows(self.model, self.plans)
            assert self.model.runs[run_id].next_sequence == run.next_sequence, "nothing happened so far"
        elif reception is Reception.DELIVER:
            self._deliver(command, plan)
        return reception

    def _received(self, command: SendSignal, plan: Plan) -> Reception | type[UsageError]:
        run, row = self.model.runs[command.run_id], self.model.steps.get((command.run_id, command.step))
        try:
            return receive(command, run, row, plan, self.model.sent(run.id), now=self.now)
        except UsageError as error:
            return type(error)

    def _deliver(self, command: SendSignal, plan: Plan) -> None:
        def decide(snapshot: Snapshot) -> Settled:
            hand_over = HandOver(NOBODY, self.now)
            return deliver_signal(command, snapshot, plan, now=self.now, hand_over=hand_over)

        generation = self.model.steps[command.run_id, command.step].generation
        self._decide([TaskKey(command.run_id, command.step, generation, 0)], decide)
        assert self.model.steps[command.run_id, command.step].status is StepStatus.COMPLETED

    def expire(self) -> None:
        """Somebody looks for runs that are past their deadlines."""
        overdue = [run for run in self.model.runs.values() if run.deadline_at and run.deadline_at <= self.now]
        changes = expire_runs(list(self.model.runs.values()), now=self.now)
        self._apply(changes, NOBODY)
        assert all(self.model.runs[run.id].status is RunStatus.FAILED for run in overdue)
        assert len(changes.runs) == len(overdue)

    def rerun(self, command: RerunRun) -> bool:
        """Somebody reruns or retries a run; answers whether it was not refused."""
        run = self.model.runs[command.run_id]
        plan = self.plans[run.flow_id]
        rows = {slug: step for (of, slug), step in self.model.steps.items() if of == run.id}
        restart, wanted = _restart(command, run, rows, plan), expected_restart(self.model, plan, command)
        if not isinstance(restart, RestartedRun):
            assert restart is wanted
            return False
        assert (restart.steps, restart.elements) == wanted
        self._rerun(command, plan)
        assert self.model.runs[run.id].generation == restart.generation == run.generation + 1
        for slug, row in rows.items():
            assert (self.model.steps[run.id, slug] == row) is (slug not in restart.steps), "what is kept is as it was"
        return True

    def _rerun(self, command: RerunRun, plan: Plan) -> None:
        run = self.model.runs[command.run_id]

        def decide(snapshot: Snapshot) -> Settled:
            return rerun_run(command, snapshot, plan, now=self.now, hand_over=HandOver(NOBODY, self.now))

        rows = {name: step for name, step in self.model.steps.items() if name[0] == run.id}
        snapshot = Snapshot(runs={run.id: run}, steps=rows, tasks={})
        settled, _ = self._completed(decide(snapshot), snapshot, decide)
        self._apply(settled.changes, NOBODY)

    def cancel(self, run_id: str) -> None:
        """Somebody cancels a run, whatever it is at."""
        run = self.model.runs[run_id]
        changes = cancel_run(run, "no longer wanted", now=self.now)
        before = self.model.rows()
        self.model.apply(changes)
        check_changed(before, self.model)
        check_rows(self.model, self.plans)
        assert (changes == Changes()) == (run.status in TERMINAL_RUN)
        assert self.model.runs[run.id].status in TERMINAL_RUN

    # The end

    def end(self) -> None:
        """Where attempts do not fail any more, every run comes to its end."""
        for _ in range(ROUNDS_MAX):
            if self.model.pending():
                self.claim(len(self.model.runs), NOBODY)
            self.now = max([self.now, *self.model.ready_at.values()])
            for key in self.claimable():
                self.take(key, "last")
            tasks = self.held()
            waits = [task for task in self.model.tasks.values() if task.status is TaskStatus.SUSPENDED]
            if not tasks and not waits:
                break
            self.settle([completed(task, self.plain_facts(task)) for task in tasks], NOBODY)
            for task in waits:
                if task.wake_at is None:
                    self._answer(task.key)
            self.now = max([self.now, *(task.wake_at for task in self.model.tasks.values() if task.wake_at)])
            self.wake(self.now)

        assert {run.status for run in self.model.runs.values()} <= TERMINAL_RUN
        reasons = {event.get("reason") for events in self.model.events.values() for event in events}
        assert "internal_error" not in reasons, "the rules raised somewhere"

    def _answer(self, key: TaskKey) -> None:
        questions = self.plans[self.model.runs[key.run_id].flow_id].questions.get(key.step, NO_QUESTIONS)
        self.signal(key.run_id, key.step, f"last {key.generation}", b'"yes"', plain_facts(questions))

    # Deciding

    def _decide(
        self, keys: Sequence[TaskKey], decide: Callable[[Snapshot], Settled], capacity: Capacity | None = None
    ) -> Settled:
        """Decide on the neighbours, and on all steps where these do not do; then compare with knowing everything."""
        near = self.model.snapshot(keys, [step for key in keys for step in self._neighbours(key)])
        settled = decide(near)
        assert settled == decide(near), "the same rows, the same decision"
        settled, near = self._completed(settled, near, decide)
        whole, _ = self._completed(*self._knowing_everything(keys, decide), decide)
        assert _sorted(settled.changes.frozen()) == _sorted(whole.changes.frozen())
        assert settled.verdicts == whole.verdicts
        self._apply(settled.changes, NOBODY if capacity is None else capacity)
        return settled

    def _knowing_everything(
        self, keys: Sequence[TaskKey], decide: Callable[[Snapshot], Settled]
    ) -> tuple[Settled, Snapshot]:
        snapshot = self.model.snapshot(reversed(keys), list(reversed(self.model.steps)))
        return decide(snapshot), snapshot

    def _completed(
        self, settled: Settled, snapshot: Snapshot, decide: Callable[[Snapshot], Settled]
    ) -> tuple[Settled, Snapshot]:
        """Decide again with what was missing: steps at first, then the elements of one map with gaps after another."""
        for _ in range(2 + STEPS_MAX):
            if settled.complete:
                break
            more = {key: step for key, step in self.model.steps.items() if key[0] in settled.incomplete}
            elements = {request: self.model.elements(request) for request in settled.elements}
            signals = {run_id: self.model.sent(run_id) for run_id in settled.signals}
            snapshot = replace(
                snapshot,
                steps={**snapshot.steps, **more},
                elements={**snapshot.elements, **elements},
                signals={**snapshot.signals, **signals},
            )
            settled = decide(snapshot)
        assert settled.complete
        return settled, snapshot

    def _apply(self, changes: ChangeSet, capacity: Capacity) -> None:
        before = self.model.rows()
        self.model.apply(changes.frozen())
        check_changed(before, self.model)
        check_rows(self.model, self.plans)
        self._check_handed_over(changes, before, capacity)
        self._check_jobs(changes, before)
        self.given.extend(changes.claimed)

    def _check_handed_over(self, changes: ChangeSet, before: Model, capacity: Capacity) -> None:
        assert len(changes.claimed) <= capacity.slots
        for claimed in changes.claimed:
            task = self.model.tasks[claimed.key]
            run = self.model.runs[claimed.key.run_id]
            step = self.plans[run.flow_id].steps[claimed.key.step]
            assert (task.status, task.token, task.worker) == (TaskStatus.RUNNING, 1, capacity.worker)
            assert (claimed.token, claimed.attempt, claimed.lease_until) == (1, 1, task.lease_until)
            assert run.flow_id in capacity.flow_ids
            assert step.queue in capacity.queues
            assert step.start_delay_s == 0
            assert capacity.minimum_priority is None or run.priority >= capacity.minimum_priority
        new = self.model.tasks.keys() - before.tasks.keys()
        leased = {key for key in new if self.model.tasks[key].token and key not in self.model.outputs}
        assert leased == {claimed.key for claimed in changes.claimed}

    def _check_jobs(self, changes: ChangeSet, before: Model) -> None:
        """Every task that is nobody's now is announced; what does not deliver gets one hint for each queue."""
        plans = {run_id: self.plans[run.flow_id] for run_id, run in self.model.runs.items()}
        told = jobs_of_changes(changes, plans, flow_ids=dict.fromkeys(plans, 1), now=self.now, delivers=True)
        queued = {
            key
            for key, task in self.model.tasks.items()
            if task.status is TaskStatus.QUEUED and before.tasks.get(key) != task
        }
        # A task that goes back to its queue is cancelled at once where another one ends its step or run.
        cancelled = {job.task for job in told if job.task and self._is_cancelled(job.task)}
        assert {job.task for job in told} - cancelled == queued
        assert all(job.task and job.queue == self.model.queues[job.task] for job in told if job.task in queued)
        hints = [
            job.queue
            for job in jobs_of_changes(changes, plans, flow_ids=dict.fromkeys(plans, 1), now=self.now, delivers=False)
        ]
        due = {self.model.queues[key] for key in queued if self.model.ready_at[key] <= self.now}
        assert len(hints) == len(set(hints))
        assert due <= set(hints)

    # Looking

    def _neighbours(self, key: TaskKey) -> Iterable[tuple[str, str]]:
        plan = self.plans[self.model.runs[key.run_id].flow_id]
        return ((key.run_id, slug) for slug in plan.neighbours[key.step])

    def claimable(self) -> list[TaskKey]:
        """The queued tasks whose time has come."""
        queued = (key for key, task in self.model.tasks.items() if task.status is TaskStatus.QUEUED)
        return [key for key in queued if self.model.ready_at[key] <= self.now]

    def held(self) -> list[ClaimedTask]:
        """The leases that hold."""
        return [task for task in self.given if self.holds(task)]

    def holds(self, task: ClaimedTask) -> bool:
        """Whether a lease does."""
        row = self.model.tasks[task.key]
        return row.status is TaskStatus.RUNNING and row.token == task.token

    def plain_facts(self, task: ClaimedTask) -> bytes | None:
        """Of an output with which everything goes well."""
        return plain_facts(self.plans[task.flow_id].questions[task.key.step])

    def _is_cancelled(self, key: TaskKey) -> bool:
        run, task = self.model.runs[key.run_id], self.model.tasks.get(key)
        return run.status is RunStatus.FAILED or (task is not None and task.status is TaskStatus.CANCELLED)


def _restart(
    command: RerunRun, run: RunRow, rows: Mapping[str, StepRow], plan: Plan
) -> RestartedRun | type[UsageError]:
    try:
        return restart_of(command, run, rows, plan)
    except UsageError as error:
        return type(error)


def _lease_of(task: ClaimedTask) -> Lease:
    return Lease(task.key, task.token)


def _sorted(changes: Changes) -> Changes:
    """Changes whose steps stand in one order, whatever the order in which their rows were loaded."""
    return replace(changes, steps=tuple(sorted(changes.steps, key=lambda step: (step.run_id, step.slug))))
