"""A run as its starter holds it: command it, wait for it, read its outputs, look at everything in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from attrs import field, frozen

from ..ports import Ports
from ..ports.notes import AnnotationValue
from ..ports.outbox import EventRecord
from ..ports.reading import (
    AttemptRecord,
    GenerationRecord,
    RunRecord,
    StepRecord,
    TaskRecord,
)
from .commands import RESUME_TOKEN_LIFETIME, CancelledRun, Command, RerunRun, RestartedRun, SentSignal
from .definition import Flow, Step, StepName
from .durations import Duration
from .errors import InvalidArgument
from .events import event_records
from .notes import LogEntry, Progress
from .run_notes import RunNotes
from .run_outputs import RunOutputs
from .step_order import read_step_order

T = TypeVar("T")

DETAILS_LOGS_MAX = 1_000
"""Log entries among everything that is read of a run at once."""


class Runs(Protocol):
    """The kernel of a run, as its handle sees it."""

    @property
    def ports(self) -> Ports:
        """Where it is read."""
        ...

    def find_flow(self, slug: str, version: int | str | None = None) -> Flow[Any]:
        """The flow that it belongs to."""
        ...

    async def dispatch(self, command: Command[T], /) -> T:
        """Carry out a command."""
        ...

    async def cancel(self, run_id: str, *, reason: str | None = None) -> CancelledRun:
        """End it."""
        ...

    async def signal(self, run_id: str, step: Any, payload: object = None, *, key: str | None = None) -> SentSignal:
        """Answer one of its signal steps."""
        ...

    async def resume_token(self, run_id: str, step: Step[Any] | str, *, expires_in: Duration) -> str:
        """Let somebody answer one of its signal steps."""
        ...


@frozen(kw_only=True)
class RunDetails:
    """Everything that is kept of one run."""

    run: RunRecord
    generations: Sequence[GenerationRecord]
    """How it ended in those that it has left, in their order; none where it was never rerun."""
    steps: Sequence[StepRecord]
    """By generation, then in order of definition."""
    tasks: Sequence[TaskRecord]
    """By step in order of definition, then by generation and element."""
    attempts: Sequence[AttemptRecord]
    """Those that did not complete, in the order of their tasks."""
    events: Sequence[EventRecord]
    annotations: Mapping[str, AnnotationValue] = field(factory=dict[str, AnnotationValue])
    progress: Sequence[Progress] = ()
    """Of at most `PROGRESS_MAX` tasks, those first that told it last."""
    logs: Sequence[LogEntry] = ()
    """The last `DETAILS_LOGS_MAX` entries; `RunHandle.logs` reads all."""


class RunHandle(RunOutputs, RunNotes):
    """One run. Holding it costs nothing; every method reads the store afresh."""

    def __init__(
        self,
        run_id: str,
        *,
        kernel: Runs,
        created: bool = False,
    ) -> None:
        self.id = run_id
        self.created = created
        """Whether the call that returned this handle made the run; False where the key was known."""
        self._kernel = kernel
        self._ports = kernel.ports
        self._dispatch = kernel.dispatch
        self._find_flow = kernel.find_flow

    def __repr__(self) -> str:
        return f"RunHandle({self.id!r})"

    async def details(self) -> RunDetails:
        """Everything that is kept of the run."""
        persistence = self._ports.persistence
        record = await self.read()
        events = [event for row in await persistence.read_events(self.id) for event in event_records(row)]
        order = await read_step_order(persistence, record)
        return RunDetails(
            run=record,
            generations=await persistence.read_generations(self.id),
            steps=order.sort(await persistence.read_steps(self.id)),
            tasks=sorted(await persistence.read_tasks(self.id), key=lambda task: order.of(task.key.step)),
            attempts=sorted(await persistence.read_attempts(self.id), key=lambda each: order.of(each.key.step)),
            events=events,
            annotations=await self.annotations(),
            progress=await self.progress(),
            logs=await self.logs(limit=DETAILS_LOGS_MAX, last=True),
        )

    async def cancel(self, *, reason: str | None = None) -> CancelledRun:
        """End the run and everything in it that has not ended; see `Kernel.cancel`.

        Returns:
            What was found, and whether this very call has cancelled the run.

        Raises:
            RunNotFound: there is no such run (any more).
            InvalidArgument: the reason is no printable text, or too long.
        """
        return await self._kernel.cancel(self.id, reason=reason)

    @overload
    async def signal(self, step: Step[T], payload: T, *, key: str | None = None) -> SentSignal: ...
    @overload
    async def signal(self, step: Step[None], payload: None = None, *, key: str | None = None) -> SentSignal: ...
    @overload
    async def signal(self, step: str, payload: object = None, *, key: str | None = None) -> SentSignal: ...
    async def signal(self, step: Step[Any] | str, payload: object = None, *, key: str | None = None) -> SentSignal:
        """Answer a signal step of the run; see `Kernel.signal` for arguments and errors."""
        return await self._kernel.signal(self.id, step, payload, key=key)

    async def resume_token(self, step: Step[Any] | str, *, expires_in: Duration = RESUME_TOKEN_LIFETIME) -> str:
        """Make a token with which somebody may answer a signal step of the run once; see `Kernel.resume_token`."""
        return await self._kernel.resume_token(self.id, step, expires_in=expires_in)

    async def rerun(self, *from_steps: StepName, dry_run: bool = False) -> RestartedRun:
        """Begin the run anew from some steps, after it has ended, in a new generation.

        These steps, all that depend on them, directly or not, and every step that was neither completed nor skipped
        are done again, their conditions are evaluated again, and their tasks have new ids. All other steps keep their
        outputs and are not executed. What the run had come to stays readable (`details`); input, configuration, key and
        priority stay as they were. Whatever is still at work for the old generation is discarded.

        Args:
            from_steps: at least one, each the handler, the slug, or the `Step`.
            dry_run: change nothing, only tell what would be.

        Returns:
            Which steps begin anew, and in which generation.

        Raises:
            RunNotEnded: the run is not over; wait for it, or cancel it.
            InvalidArgument: no step is named.
            FlowDefinitionError: the flow has no such step.
            RunNotFound: there is no such run (any more).
            UnknownFlow: the kernel does not have the run's flow.
            OtherShape: the run was started with another shape of it.
            AdapterError: the store failed, and nothing was changed; but after `CommitUnknown` the run may have begun
                anew.
        """
        if not from_steps:
            raise InvalidArgument("from_steps", "at least one step; to do again what did not complete, retry", ())
        return await self._rerun(from_steps, keep_elements=False, dry_run=dry_run)

    async def retry(self, *steps: StepName, dry_run: bool = False) -> RestartedRun:
        """Do again what did not complete of the run, after it has ended, in a new generation.

        That is every step that was neither completed nor skipped, with all that depend on it. Of maps only those
        elements run again that were not completed, and the outputs of the others stay; but a map that depends on
        another step that is done again is done as a whole. Failures that were tolerated, or that skipped their step,
        did no harm to the run, and are left alone unless their step is named.

        Args:
            steps: of which something has failed, each the handler, the slug, or the `Step`.
            dry_run: change nothing, only tell what would be.

        Returns:
            Which steps begin anew, how many elements of which maps run again, and in which generation.

        Raises:
            NothingToRerun: everything is settled well, or nothing has failed of a step that is named.
            UsageError: as for `rerun`.
            AdapterError: as for `rerun`.
        """
        return await self._rerun(steps, keep_elements=True, dry_run=dry_run)

    async def _rerun(self, steps: Sequence[StepName], *, keep_elements: bool, dry_run: bool) -> RestartedRun:
        flow = await self._flow()
        slugs = tuple(dict.fromkeys(flow.step_named(step).slug for step in steps))
        return await self._dispatch(RerunRun(run_id=self.id, steps=slugs, keep_elements=keep_elements, dry_run=dry_run))
