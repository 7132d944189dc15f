"""CallerConnections: work that is put down on a caller's own connection, to commit or roll back with their transaction.

What is put down there is inserted and nothing else: runs with their first events, and commands for the scheduler. No
row that exists is locked or changed, nothing is begun, committed or announced, nothing of a session is set, and nothing
is tried again that has failed. A key that is held is found by an insert that does nothing and a read, so a conflict
leaves the caller's transaction as it was. An insert under a key that another transaction has inserted and not committed
waits for that transaction, as inserts do.

A set of ports has this port where its store has transactions that are the callers' own; else it has none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from .blobs import BlobStore
from .changes import NewRun
from .clock import Clock
from .errors import UsageError
from .persistence import Persistence
from .record import Record
from .records import StartedRun
from .scheduler import ScheduledCommand
from .statuses import RunStatus, StepStatus

T = TypeVar("T")


class CallerConnection(Protocol):
    """A connection or a session of the caller's; the adapter says of which libraries."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """What all of them have, and an engine or a pool has not."""
        ...


class InvalidConnection(UsageError):
    """What was passed as `connection` cannot be used: it is none, or in no transaction, or leads somewhere else."""


class TransactionFailed(UsageError):
    """A statement of the caller's transaction has failed before, so nothing more is done in it until it is rolled back.

    Whatever was put down in it is gone.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(
            f"the transaction of this connection has failed before: {problem}; roll it back, and do all of it again"
        )


class SeenRun(Record, frozen=True, kw_only=True):
    """A run as the caller's transaction sees it; it may have been started there."""

    flow: str
    version: str
    fingerprint: str
    status: RunStatus
    step_status: StepStatus | None
    """Of the step that was asked about; None where the run was not claimed yet."""
    signal_digest: str | None
    """Of the signal that this step was sent with the key that was asked about; None where there was none."""
    signal_used: bool = False
    """Whether that signal was consumed, in whatever generation."""


class CallerConnections(Protocol):
    """The port.

    Errors of every method: `InvalidConnection` and `TransactionFailed` where nothing was sent; any `AdapterError` means
    that a statement failed, and the caller's transaction with it. What blocks is done in the calling thread; on a
    connection that blocks, no method waits for anything else.
    """

    async def insert_runs(self, connection: CallerConnection, runs: Sequence[NewRun]) -> Sequence[StartedRun]:
        """As `Persistence.insert_runs`: all of them or, where a key is held by another request, none.

        Raises:
            InvalidConnection: a run's flow is not registered where the connection leads.
        """
        ...

    async def insert_command(self, connection: CallerConnection, command: ScheduledCommand) -> bytes | None:
        """Remember a command, unless its name is taken.

        Returns:
            None where it is remembered; else the command that has its name.
        """
        ...

    async def see_run(self, connection: CallerConnection, run_id: str, *, step: str, key: str) -> SeenRun | None:
        """A run, one of its steps, and the signal that this step was sent with that key; None where there is no run."""
        ...

    def after_commit(self, connection: CallerConnection, act: Callable[[], Awaitable[None]]) -> bool:
        """Let something be done soon after the caller's transaction has committed, in the event loop of this call.

        Returns:
            Whether that is possible: False where nobody tells of the commit. It may be done after a rollback too.
        """
        ...

    def blocking(
        self, connection: CallerConnection, act: Callable[[Persistence, BlobStore, Clock], Coroutine[Any, Any, T]]
    ) -> T:
        """Carry something out in the calling thread, over handles on the same store that end with it.

        Raises:
            InvalidConnection: the connection does not block, or this thread runs an event loop.
        """
        ...
