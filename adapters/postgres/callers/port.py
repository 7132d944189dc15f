"""The port itself: what is inserted and read on a caller's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from ....ports import BlobStore
from ....ports.callers import CallerConnection, InvalidConnection, SeenRun
from ....ports.changes import NewRun
from ....ports.clock import Clock
from ....ports.errors import Contention
from ....ports.outbox import shard_of
from ....ports.persistence import Persistence
from ....ports.records import StartedRun
from ....ports.scheduler import ScheduledCommand
from ....ports.statuses import RunStatus, StepStatus
from ..clock import PostgresClock
from ..database import Database
from ..persistence import PostgresPersistence
from ..rows import is_run_id
from ..scheduler import ANY_HOST
from ..starting import RETRIES, created, holders_answers
from .kinds import recognise
from .lent import Lent, Row

T = TypeVar("T")

SAVEPOINT = "SAVEPOINT fairlead_runs"
RELEASE = "RELEASE SAVEPOINT fairlead_runs"
ROLL_BACK = "ROLLBACK TO SAVEPOINT fairlead_runs"

BLOCKING_CONNECTIONS = 1
"""What a call needs that blocks: it does one thing after the other."""


class PostgresCallers:
    """`CallerConnections` for one schema, in whichever database a connection leads to.

    Args:
        database: where flows are registered.
        clock: that follows it.
        blobs_over: the store of large payloads over a database: the one that it is given, for another event loop.
    """

    def __init__(
        self, database: Database, clock: PostgresClock, *, blobs_over: Callable[[Database], BlobStore]
    ) -> None:
        self._database = database
        self._clock = clock
        self._blobs_over = blobs_over
        self._waking: set[asyncio.Task[None]] = set()

    async def insert_runs(self, connection: CallerConnection, runs: Sequence[NewRun]) -> Sequence[StartedRun]:
        """Insert runs and their first events, all of them or none."""
        lent = recognise(connection)
        whole = len(runs) == 1 or all(run.key is None for run in runs)
        for _ in range(RETRIES):
            answers = await (self._insert(lent, runs) if whole else self._insert_together(lent, runs))
            if answers is not None:
                return answers
        raise Contention("the runs that hold these keys come and go; start again")

    async def insert_command(self, connection: CallerConnection, command: ScheduledCommand) -> bytes | None:
        """Remember a command, unless its name is taken."""
        lent = recognise(connection)
        given = {
            "name": command.name,
            "due_at": command.due_at,
            "command": command.command.decode(),
            "flow": ANY_HOST if command.flow is None else command.flow,
        }
        for _ in range(RETRIES):
            if await self._rows(lent, "insert_command", given):
                return None
            found = await self._rows(lent, "read_command", {"name": command.name})
            if found:
                return str(found[0][0]).encode()
        raise Contention(f"commands of the name {command.name!r} come and go; ask again")

    async def see_run(self, connection: CallerConnection, run_id: str, *, step: str, key: str) -> SeenRun | None:
        """A run, one of its steps, and a signal of it, as the caller's transaction sees them."""
        lent = recognise(connection)
        if not is_run_id(run_id):
            return None
        rows = await self._rows(lent, "see_run", {"run": run_id, "step": _storable(step), "key": _storable(key)})
        if not rows:
            return None
        flow, version, fingerprint, status, step_status, digest, used = rows[0]
        return SeenRun(
            flow=flow,
            version=version,
            fingerprint=fingerprint,
            status=RunStatus(status),
            step_status=None if step_status is None else StepStatus(step_status),
            signal_digest=digest,
            signal_used=bool(used),
        )

    def after_commit(self, connection: CallerConnection, act: Callable[[], Awaitable[None]]) -> bool:
        """Have something done in this event loop once the caller has committed, in whichever thread that is."""
        loop = asyncio.get_running_loop()

        async def acted() -> None:
            await act()

        def begin() -> None:
            task = loop.create_task(acted(), name="fairlead wake-up of a caller")
            self._waking.add(task)
            task.add_done_callback(self._waking.discard)

        def committed() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(begin)

        return recognise(connection).after_commit(committed)

    def blocking(
        self, connection: CallerConnection, act: Callable[[Persistence, BlobStore, Clock], Coroutine[Any, Any, T]]
    ) -> T:
        """Carry something out in this thread, in an event loop that ends with it."""
        if not recognise(connection).blocks:
            raise InvalidConnection(
                "connection is asynchronous; await kernel.start(…, connection=…) and its like with it"
            )
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._over_own_connections(act))
        raise InvalidConnection(
            "this thread runs an event loop, which must not be blocked; await kernel.start(…, connection=…) and its "
            "like, which take this connection too"
        )

    async def _over_own_connections(self, act: Callable[[Persistence, BlobStore, Clock], Coroutine[Any, Any, T]]) -> T:
        database = self._database.with_own_connections(BLOCKING_CONNECTIONS)
        try:
            return await act(PostgresPersistence(database), self._blobs_over(database), self._clock.over(database))
        finally:
            await database.aclose()

    async def _insert_together(self, lent: Lent, runs: Sequence[NewRun]) -> Sequence[StartedRun] | None:
        """All of them or, where a key is held by another request, none."""
        await lent.run(SAVEPOINT)
        answers = await self._insert(lent, runs)
        conflict = answers is not None and any(
            answer.request_digest != run.request_digest for answer, run in zip(answers, runs, strict=True)
        )
        if answers is None or conflict:
            await lent.run(ROLL_BACK)
        await lent.run(RELEASE)
        return [replace(answer, created=False) for answer in answers] if answers and conflict else answers

    async def _insert(self, lent: Lent, runs: Sequence[NewRun]) -> Sequence[StartedRun] | None:
        rows = await self._rows(lent, "insert_runs", [_given(run, place) for place, run in enumerate(runs)])
        unknown = {run_id for run_id, known, _ in rows if not known}
        if unknown:
            run = next(run for run in runs if run.id in unknown)
            raise InvalidConnection(
                f"connection leads to a database in which flow {run.flow!r} (version {run.version}) is not registered, "
                "or its transaction began before that; use the database of the kernel's ports, and "
                "`await kernel.register()` when the application starts"
            )
        inserted = {run_id for run_id, _, done in rows if done}
        if len(inserted) == len(runs):
            return [created(run) for run in runs]
        names = [{"id": run.id, "flow": run.flow, "key": run.key} for run in runs]
        return holders_answers(runs, inserted, await self._rows(lent, "find_holders", names))

    async def _rows(self, lent: Lent, name: str, given: object) -> Sequence[Row]:
        sql = self._database.statements.text(f"callers/{name}")
        return await lent.rows(sql, msgspec.json.encode(given).decode())


def _given(run: NewRun, place: int) -> dict[str, object]:
    event = run.event
    return {
        "place": place,
        "id": run.id,
        "flow_id": run.flow_id,
        "flow": run.flow,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "key": run.key,
        "request_digest": run.request_digest,
        "priority": run.priority,
        "next_sequence": event.first_sequence + event.count,
        "created_at": run.created_at,
        "input": run.input.decode(),
        "config": _text(run.config),
        "facts": _text(run.facts),
        "annotations": _text(run.annotations),
        "first_sequence": event.first_sequence,
        "count": event.count,
        "generation": event.generation,
        "shard": shard_of(run.id),
        "at": event.at,
        "events": event.events.decode(),
    }


def _storable(text: str) -> str:
    """Text that names nothing where the server would refuse it, and the caller's transaction with it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return ""
    return "" if "\0" in text else text


def _text(document: bytes | None) -> str | None:
    return None if document is None else document.decode()
