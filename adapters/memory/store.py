"""The tables, their indexes and the two ways in which rows get into them: inserted runs and committed changes.

`Store` holds committed rows only. It knows nothing of event loops; whoever uses it holds its mutex, and gives the
mutex back before waiting for anything, so each statement sees one committed state.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Sequence
from datetime import datetime

from ...ports.changes import NewRun, ResumeToken
from ...ports.errors import UnstorableValue
from ...ports.records import FlowRow, NewFlow, StartedRun
from ...ports.statuses import TERMINAL_RUN, RunStatus, TaskStatus
from .locks import Locks
from .outbox import Deliveries
from .queues import LeasedTasks, PendingRuns, QueuedTasks
from .rows import Batch, Run, StoredRun, Task, Uncommitted, stored_batch
from .scheduled import ScheduledCommands
from .waiting import Deadlines, WaitingTasks
from .workers import AnnouncedWorkers


class Store:
    """Everything that is committed."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.locks = Locks()
        self.runs: dict[str, StoredRun] = {}
        self.by_key: dict[tuple[str, str], StoredRun] = {}
        """Runs by (flow slug, idempotency key)."""
        self.by_age: list[tuple[datetime, str]] = []
        """All runs by (`created_at`, id), oldest first."""
        self.flows: dict[tuple[str, str, str], FlowRow] = {}
        """All shapes by (slug, version, fingerprint)."""
        self.current_flows: dict[tuple[str, str], FlowRow] = {}
        self.pending = PendingRuns(self.runs)
        self.queued = QueuedTasks(self.runs)
        self.leased = LeasedTasks()
        self.waiting = WaitingTasks(self.runs)
        self.deadlines = Deadlines(self.runs)
        self.outbox = Deliveries()
        self.scheduled = ScheduledCommands()
        self.resume_tokens: dict[str, ResumeToken] = {}
        """By digest."""
        self.workers = AnnouncedWorkers()

    def register_flow(self, flow: NewFlow, *, replace: bool) -> FlowRow:
        """The shape that (slug, version) has from now on."""
        current = self.current_flows.get((flow.slug, flow.version))
        if current is not None and not (
            replace and (current.fingerprint == flow.fingerprint or not self._is_used(current.flow_id))
        ):
            return current
        before = self.flows.get((flow.slug, flow.version, flow.fingerprint))
        row = FlowRow(
            flow_id=len(self.flows) + 1 if before is None else before.flow_id,
            slug=flow.slug,
            version=flow.version,
            fingerprint=flow.fingerprint,
            shape=flow.shape,
        )
        self.flows[flow.slug, flow.version, flow.fingerprint] = row
        self.current_flows[flow.slug, flow.version] = row
        return row

    def slugs_of(self, flow_ids: Sequence[int]) -> frozenset[str]:
        """The slugs of flows."""
        wanted = frozenset(flow_ids)
        return frozenset(flow.slug for flow in self.flows.values() if flow.flow_id in wanted)

    def insert_runs(self, runs: Sequence[NewRun]) -> list[StartedRun]:
        """Insert the runs that are new, or none of them where a key is taken by another request."""
        for run in runs:
            check_text(run.key, "an idempotency key")
        answers: list[StartedRun] = []
        inserts: dict[str, NewRun] = {}
        keys: dict[tuple[str, str], StartedRun] = {}
        for run in runs:
            answer = self._existing(run, inserts, keys)
            if answer is None:
                answer = StartedRun(id=run.id, created=True, request_digest=run.request_digest)
                inserts[run.id] = run
                if run.key is not None:
                    keys[run.flow, run.key] = answer
            answers.append(answer)
        if any(run.request_digest != answer.request_digest for run, answer in zip(runs, answers, strict=True)):
            return [_refused(answer) if answer.id in inserts else answer for answer in answers]
        for run in inserts.values():
            self._insert_run(run)
        return answers

    def commit(self, written: Uncommitted) -> None:
        """Put a transaction's rows into the tables. The transaction holds the locks of all of them."""
        runs = self.runs
        for run_id, run in written.runs.items():
            if run.deadline_at is not None and run.deadline_at != runs[run_id].row.deadline_at:
                self.deadlines.add(run, run.deadline_at)
            runs[run_id].row = run
        for run_id, ending in written.endings.items():
            runs[run_id].endings[ending.generation] = ending
        for key, step in written.steps.items():
            stored = runs[key[0]]
            stored.steps[key] = step
            if step.generation > stored.generations.get(step.slug, -1):
                stored.generations[step.slug] = step.generation
        for task in written.tasks.values():
            self._put_task(runs[task.key.run_id], task)
        for lease, attempt in written.attempts.items():
            runs[lease.key.run_id].attempts[lease] = attempt
        for name, signal in written.signals.items():
            runs[signal.run_id].signals[name] = signal
        for run_id, annotated in written.annotations.items():
            runs[run_id].annotations = annotated
        for batch in written.events.values():
            self._put_batch(runs[batch.run_id], batch)

    def _put_task(self, stored: StoredRun, task: Task) -> None:
        key = task.key
        stored.tasks[key] = task
        status = task.status
        if status is TaskStatus.RUNNING:
            self.leased.put(task)
        else:
            self.leased.discard(key)
        if status is TaskStatus.QUEUED:
            self.queued.add(task)
        elif status is TaskStatus.SUSPENDED and task.wake_at is not None:
            self.waiting.add(task, task.wake_at)
        else:
            task.entry = None
        if status is TaskStatus.COMPLETED or status is TaskStatus.FAILED or status is TaskStatus.CANCELLED:
            stored.live.pop(key, None)
        else:
            stored.live[key] = None

    def _put_batch(self, stored: StoredRun, batch: Batch) -> None:
        stored.events[batch.first_sequence] = batch
        self.outbox.add(batch)

    def _existing(
        self, run: NewRun, inserts: dict[str, NewRun], keys: dict[tuple[str, str], StartedRun]
    ) -> StartedRun | None:
        """The answer to a run that needs no insert: it is there already, or its key is taken."""
        same = self.runs.get(run.id)
        if same is not None:  # recovers 2, 22: the run was inserted by an earlier try
            return StartedRun(id=run.id, created=True, request_digest=same.row.request_digest)
        if run.id in inserts:
            return StartedRun(id=run.id, created=True, request_digest=inserts[run.id].request_digest)
        if run.key is None:
            return None
        holder = self.by_key.get((run.flow, run.key))
        if holder is not None:  # recovers 2, 66: another run has the key
            return StartedRun(id=holder.row.id, created=False, request_digest=holder.row.request_digest)
        earlier = keys.get((run.flow, run.key))
        return None if earlier is None else _refused(earlier)

    def _insert_run(self, new: NewRun) -> None:
        run = Run(
            id=new.id,
            flow_id=new.flow_id,
            flow=new.flow,
            version=new.version,
            fingerprint=new.fingerprint,
            key=new.key,
            request_digest=new.request_digest,
            status=RunStatus.PENDING,
            generation=new.event.generation,
            priority=new.priority,
            remaining_steps=0,
            next_sequence=new.event.first_sequence + new.event.count,
            input=new.input,
            config=new.config,
            facts=new.facts,
            created_at=new.created_at,
        )
        stored = StoredRun(run, annotations=new.annotations)
        self.runs[new.id] = stored
        if new.key is not None:
            self.by_key[new.flow, new.key] = stored
        insort(self.by_age, (new.created_at, new.id))
        self.pending.add(new.flow_id, (-new.priority, new.created_at, new.id))
        self._put_batch(stored, stored_batch(new.event))

    def _is_used(self, flow_id: int) -> bool:
        rows = (stored.row for stored in self.runs.values())
        return any(row.flow_id == flow_id and row.status not in TERMINAL_RUN for row in rows)


def _refused(answer: StartedRun) -> StartedRun:
    return StartedRun(id=answer.id, created=False, request_digest=answer.request_digest)


def check_text(text: str | None, what: str) -> None:
    """Refuse what a database's text column cannot hold, so that this store is not kinder than others."""
    if text is None or (text.isascii() and "\0" not in text):
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnstorableValue(f"{what} cannot be stored: {error.reason} at position {error.start}") from error
    if "\0" in text:
        raise UnstorableValue(f"{what} cannot be stored: it has a NUL character at position {text.index(chr(0))}")
