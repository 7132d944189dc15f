"""What a handler may know of the attempt it runs in."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import define, field, frozen

from ..ports.notes import AnnotationValue, LogLevel
from ..ports.statuses import StepStatus
from .annotations import encode_annotations
from .commands.waiting import RESUME_TOKEN_LIFETIME
from .durations import Duration
from .errors import OutsideHost, StatusUnknown
from .notes import UNHEARD, Level, NoteTaker, checked_level, checked_number, entry_of, message_of_progress

if TYPE_CHECKING:
    from .definition.step import Step

T = TypeVar("T")


@define(kw_only=True)
class Signs:
    """What becomes known of an attempt while its handler runs. The executing host raises them, and lowers none."""

    lease_lost: bool = False
    cancelled: bool = False


class Services(Protocol):
    """What the executing host does for a handler that asks."""

    async def resume_token(self, step: str | Step[Any], expires_in: Duration) -> str:
        """As `Context.resume_token`."""
        ...

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """As `Context.wait_for`."""
        ...


@frozen(kw_only=True, eq=False)
class Context:
    """Handed to parameters named `ctx`, and to all that are annotated `Context`.

    What a handler notes with it is written by its host, beside the handler: noting waits for nothing and works from any
    thread. Only `resume_token` asks the store.
    """

    run_id: str
    flow: str
    """The flow's slug."""
    step: str
    """The step's slug."""
    index: int | None = None
    """The element's index in a map, None in a plain step."""
    attempt: int = 1
    """1 for the first try."""
    idempotency_key: str
    """The task's id as text: the same in every attempt, new after a rerun. Hand it to services that deduplicate."""
    _statuses: Mapping[str, StepStatus] = field(factory=dict[str, StepStatus], alias="statuses", repr=False)
    _signs: Signs = field(factory=Signs, alias="signs", repr=False)
    _noting: NoteTaker = field(default=UNHEARD, alias="noting", repr=False)
    _services: Services | None = field(default=None, alias="services", repr=False)

    def status(self, step: str) -> StepStatus:
        """How a step that this one depends on ended, which tells a skipped one from one whose output is None.

        Args:
            step: the slug of a step whose output the handler takes, or that has certainly run where this one does: one
                that it requires, that a condition names of which this is known, or that is never skipped at all.

        Returns:
            `completed` or `skipped`.

        Raises:
            StatusUnknown: the handler is told nothing of that step; the message says of which it is.
        """
        try:
            return self._statuses[step]
        except KeyError:
            raise StatusUnknown(step=step, known=tuple(self._statuses)) from None

    @property
    def lease_lost(self) -> bool:
        """Whether another host may run this task by now, so that whatever this attempt returns is discarded."""
        return self._signs.lease_lost

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or the step given up because of another of its tasks.

        Known from the host's next heartbeat on. Whatever this attempt returns is discarded, and none follows it.
        """
        return self._signs.cancelled

    def log(self, message: str, /, *, level: Level = LogLevel.INFO, **fields: object) -> None:
        """Log something. It is there for who reads the run's logs within about a second, while the handler runs.

        Nothing fails for what is too long (it is cut), no JSON (it becomes text), or too much (it is left out); the log
        says so, once for an attempt. The bounds are `LOG_MESSAGE_LENGTH_MAX`, `LOG_FIELDS_BYTES_MAX`,
        `LOG_ENTRIES_MAX` and `LOG_WAITING_MAX`.

        Args:
            message: what happened.
            level: `debug`, `info`, `warning` or `error`.
            fields: further values, by name.

        Raises:
            InvalidArgument: there is no such level.
        """
        self._noting.log(checked_level(level), entry_of(message, fields))

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the handler is. It may be told often: what is told last is what is seen, within about a second.

        Args:
            done: how much is done, in any unit; at least 0.
            total: how much there is, where that is known.
            message: a line about it.

        Raises:
            InvalidArgument: `done` or `total` is no finite number of at least 0.
        """
        whole = None if total is None else checked_number("total", total)
        self._noting.progress(checked_number("done", done), whole, message_of_progress(message))

    def annotate(self, **annotations: AnnotationValue | None) -> None:
        """Annotate the run, so that it is found by it; see `Kernel.annotate`. An event tells of what changes.

        What was annotated before the handler ends is there before its outcome is recorded. An attempt that lost its
        lease annotates nothing, and what is too much for one run is left out; the log says so.

        Args:
            annotations: texts, finite numbers and truth values by key; None takes one away.

        Raises:
            InvalidAnnotations: some do not fit.
        """
        if annotations:
            self._noting.annotate(encode_annotations(annotations, removing=True, what="ctx.annotate"))

    async def resume_token(self, step: str | Step[Any], *, expires_in: Duration = RESUME_TOKEN_LIFETIME) -> str:
        """Make a token with which somebody may answer a signal step of this run once, without knowing any id.

        It is random, and whoever has it may answer: hand it to nobody else. Each call makes another one; a handler
        that is tried again makes a new one, and the earlier ones stay good until the step is answered or they expire.

        Args:
            step: a signal step of this flow, or its slug.
            expires_in: how long it may be used; seconds or a `timedelta`.

        Raises:
            OutsideHost: no host executes this handler.
            InvalidArgument: `step` is no signal step of this flow, or `expires_in` no duration.
            AdapterError: the store failed.
        """
        return await self._host("resume_token").resume_token(step, expires_in)

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Wait in a plain handler for something asynchronous, which the event loop of its host carries out.

        `token = ctx.wait_for(ctx.resume_token("approval", expires_in=3600))`

        Args:
            awaitable: a coroutine, or whatever else is awaited. It must not belong to another event loop.

        Returns:
            What it returns; what it raises, is raised here.

        Raises:
            OutsideHost: no host executes this handler.
            AwaitedInLoop: the handler is `async def`, and would wait for itself: `await` instead.
        """
        return self._host("wait_for").wait_for(awaitable)

    def _host(self, what: str) -> Services:
        if self._services is None:
            raise OutsideHost(what)
        return self._services
