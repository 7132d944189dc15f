"""One transaction of the kernel: two round trips, whatever the size of its batch; three where it ends waits.

The first sends BEGIN with the locks and the reads, one statement each: a statement's snapshot is older than the locks
it waits for, so what a lock protects is read by a later one. The second sends the writes and COMMIT, which commits
nothing where a guard in the writes fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from psycopg import AsyncCursor

from ...ports.changes import Changes, Resumption
from ...ports.errors import FairleadError
from ...ports.records import (
    ElementRequest,
    LoadRequest,
    PendingRun,
    RunClaim,
    SignalRow,
    Snapshot,
    StepRow,
    TaskKey,
    TaskRow,
)
from .arrays import ints, texts, uuids
from .connecting import Connection
from .database import NONE, Database, Parameters, Row, Sent
from .patience import lock_timeout
from .rows import is_run_id, key_columns, keyed_task_row, pending_run, run_row, signal_row, step_row, task_row
from .settling import Part, cancellations_sent, check_resumed, parts_of, refusal_of, resumptions_sent, sent_of
from .statements import Statement

RANKED_BEYOND = 1000
"""How many more candidates a claim looks at when others hold those it ranked first."""


class PostgresTransaction:
    """`Transaction` on one connection, and the block in which it lives."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.statements
        self._lent = database.connection()
        self._connection: Connection | None = None
        self._begun = False
        self._held: set[str] = set()
        self._applied = False
        self._parts: Sequence[Part] = ()
        self._unsent: Sequence[Sent] = ()
        """What goes along with the commit."""
        self._refusal: Exception | None = None
        """Why nothing more is accepted: the error of an earlier statement, which nobody may swallow."""

    async def __aenter__(self) -> PostgresTransaction:
        self._connection = await self._lent.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection = self._lease()
        try:
            if kind is None and self._refusal is None:
                await self._commit(connection)
            elif self._begun:
                await self._database.roll_back(connection)
            if kind is None and self._refusal is not None:
                raise self._refusal
        finally:
            self._connection = None
            await self._lent.__aexit__(None, None, None)

    async def claim_runs(self, claim: RunClaim) -> Sequence[PendingRun]:
        """Lock pending runs for their claim, skipping those that another transaction holds."""
        if not claim.flow_ids or claim.limit < 1:
            return []
        if claim.only is None:
            runs = await self._claim_ranked(claim)
        else:
            rows = await self._rows("claim_runs_only", {**_claim(claim), "runs": _ids(claim.only)})
            runs = [pending_run(row) for row in rows]
        self._held.update(run.id for run in runs)
        return runs

    async def load(self, request: LoadRequest) -> Snapshot:
        """Lock runs, then read the steps and tasks asked for, in one round trip."""
        ids = sorted({run_id for run_id in request.runs if is_run_id(run_id)})
        tasks = [key for key in request.tasks if is_run_id(key.run_id)]
        steps = [name for name in request.steps if is_run_id(name[0])]
        if request.lock_tasks:
            tasks.sort()
        sent: list[Sent] = []
        if request.wait:
            sent.append((self._lock_wait(request.patience_s), NONE))
        lock = "lock_runs_waiting" if request.wait else "lock_runs"
        sent.append((self._statements[lock], {"runs": uuids(ids)}))
        if tasks:
            read = "lock_tasks" if request.lock_tasks else "load_tasks"
            sent.append((self._statements[read], key_columns(tasks)))
        if steps:
            sent.append((self._statements["load_steps"], _step_names(steps)))
        if request.leased_to is not None:
            sent.append((self._statements["load_leased"], {"runs": uuids(ids), "worker": request.leased_to}))
        answers = iter((await self._exchange(sent))[1 if request.wait else 0 :])

        runs = {run.id: run for run in map(run_row, await next(answers).fetchall())}
        self._held.update(runs)
        return Snapshot(
            runs=runs,
            tasks=await self._found_tasks(tasks, next(answers)) if tasks else {},
            steps=await self._found_steps(steps, next(answers)) if steps else {},
            leased=await self._found_leased(next(answers)) if request.leased_to is not None else (),
        )

    async def load_steps(self, steps: Sequence[tuple[str, str]]) -> Sequence[StepRow]:
        """Read further steps of runs that this transaction holds."""
        held = [name for name in steps if name[0] in self._held]
        if not held:
            return []
        (answer,) = await self._exchange([(self._statements["load_steps"], _step_names(held))])
        return list((await self._found_steps(held, answer)).values())

    async def load_elements(self, requests: Sequence[ElementRequest]) -> Mapping[ElementRequest, Sequence[int]]:
        """Read which elements the next tasks of maps are for, in runs that this transaction holds."""
        held = [request for request in dict.fromkeys(requests) if request.run_id in self._held]
        made = [request for request in held if _is_of_one_generation(request)]
        left = [request for request in held if not _is_of_one_generation(request)]
        asked = [("load_elements", made, _stretches)] if made else []
        asked += [("load_elements_left", left, _remainders)] if left else []
        if not asked:
            return {}
        sent: list[Sent] = [(self._statements[name], columns(wanted)) for name, wanted, columns in asked]
        found: dict[ElementRequest, Sequence[int]] = {}
        for (_, wanted, _), answer in zip(asked, await self._exchange(sent), strict=True):
            found.update({wanted[place - 1]: elements for place, elements in await answer.fetchall()})
        return found

    async def load_signals(self, runs: Sequence[str]) -> Mapping[str, Sequence[SignalRow]]:
        """Read all signals that were sent to these runs, which this transaction holds."""
        found: dict[str, list[SignalRow]] = {run_id: [] for run_id in runs if run_id in self._held}
        if found:
            for row in await self._rows("load_signals", {"runs": uuids(list(found))}):
                signal = signal_row(row)
                found[signal.run_id].append(signal)
        return found

    async def load_annotations(self, runs: Sequence[str]) -> Mapping[str, bytes]:
        """Read the annotations of those of these runs that have some and that this transaction holds."""
        held = [run_id for run_id in dict.fromkeys(runs) if run_id in self._held]
        return dict(await self._rows("read_annotations", {"runs": uuids(held)})) if held else {}

    async def apply(self, changes: Changes) -> None:
        """Write everything in `changes`: with the commit, or at once where waits are ended."""
        self._lease()
        if self._refusal is not None:
            raise self._refusal
        if self._applied:
            raise RuntimeError("apply() is called at most once in a transaction")
        self._applied = True
        self._parts = parts_of(changes)
        sent = [sent_of(self._parts, self._statements)] if self._parts else []
        cancelling = list(cancellations_sent(changes.cancellations, self._statements))
        if changes.resumptions:
            resuming = list(resumptions_sent(changes.resumptions, self._statements))
            await self._apply_now([*sent, *resuming, *cancelling], changes.resumptions, place=len(sent))
        else:
            self._unsent = [*sent, *cancelling]

    async def _apply_now(self, sent: Sequence[Sent], resumptions: Sequence[Resumption], *, place: int) -> None:
        """Write at once: what ends waits answers what it has found, and no guard in the server looks at that."""
        try:
            answers = await self._exchange(sent)
            check_resumed(resumptions, await answers[place].fetchall())
        except FairleadError as error:  # recovers 28, 29: a guard stops a transaction
            self._refusal = refusal_of(self._parts, error) or error
            raise self._refusal from error.__cause__

    async def _commit(self, connection: Connection) -> None:
        """Write what is unsent, and commit."""
        if not self._begun and not self._unsent:
            return
        try:
            await self._database.commit(connection, [*self._opening(connection), *self._unsent])
        except FairleadError as error:  # recovers 28, 29: what is written last, or the commit, fails
            await self._database.roll_back(connection)
            refusal = refusal_of(self._parts, error)
            if refusal is None:
                raise
            raise refusal from error

    def _lock_wait(self, patience_s: float | None) -> Statement:
        wait = lock_timeout(self._database.settings, patience_s)
        return Statement(f"SET LOCAL lock_timeout = '{wait}'".encode(), ())

    def _lease(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("a transaction is used inside its own `async with` block")
        return self._connection

    async def _exchange(self, sent: Sequence[Sent]) -> list[AsyncCursor[Row]]:
        """Send statements; before the first ones, begin and say how all are planned."""
        if self._refusal is not None:
            raise self._refusal
        connection = self._lease()
        before = self._opening(connection)
        try:
            answers = await self._database.exchange(connection, [*before, *sent])
        except FairleadError as error:  # recovers 29: a statement of the database fails, and its transaction with it
            self._refusal = error
            raise
        return answers[len(before) :]

    def _opening(self, connection: Connection) -> Sequence[Sent]:
        """What goes before the first statements."""
        if self._begun:
            return ()
        self._begun = True
        return self._database.begin_by_key(connection)

    async def _rows(self, name: str, parameters: Parameters) -> list[Row]:
        (answer,) = await self._exchange([(self._statements[name], parameters)])
        return await answer.fetchall()

    async def _claim_ranked(self, claim: RunClaim) -> list[PendingRun]:
        window = claim.limit
        while True:
            rows = await self._rows("claim_runs", {**_claim(claim), "window": window})
            runs = [pending_run(row) for row in rows if row[1] is not None]
            if len(runs) == claim.limit or rows[0][0] < window:
                return runs
            # recovers 38, 69: others hold the runs that a claim ranked first
            window = claim.limit + window + RANKED_BEYOND

    async def _found_tasks(self, keys: Sequence[TaskKey], answer: AsyncCursor[Row]) -> dict[TaskKey, TaskRow]:
        held = self._held
        found: dict[TaskKey, TaskRow] = {}
        for row in await answer.fetchall():
            place: int = row[0]
            key = keys[place - 1]
            if key.run_id in held:
                found[key] = task_row(key, row)
        return found

    async def _found_steps(
        self, names: Sequence[tuple[str, str]], answer: AsyncCursor[Row]
    ) -> dict[tuple[str, str], StepRow]:
        held = self._held
        found: dict[tuple[str, str], StepRow] = {}
        for row in await answer.fetchall():
            place: int = row[0]
            name = names[place - 1]
            if name[0] in held:
                found[name] = step_row(name, row)
        return found

    async def _found_leased(self, answer: AsyncCursor[Row]) -> list[TaskRow]:
        return [task for row in await answer.fetchall() if (task := keyed_task_row(row)).key.run_id in self._held]


def _claim(claim: RunClaim) -> dict[str, object]:
    return {"flow_ids": ints(claim.flow_ids), "limit": claim.limit}


def _ids(texts_given: Sequence[str]) -> object:
    return uuids(sorted({text for text in texts_given if is_run_id(text)}))


def _stretches(requests: Sequence[ElementRequest]) -> Parameters:
    return {
        "run_ids": uuids([request.run_id for request in requests]),
        "steps": texts([request.step for request in requests]),
        "generations": ints([request.generation for request in requests]),
        "sources": texts([request.source for request in requests]),
        "source_generations": ints([request.source_generation for request in requests]),
        "limits": ints([request.limit for request in requests]),
    }


def _remainders(requests: Sequence[ElementRequest]) -> Parameters:
    return {
        "run_ids": uuids([request.run_id for request in requests]),
        "steps": texts([request.step for request in requests]),
        "generations": ints([request.generation for request in requests]),
        "retries_of": ints([request.retry_of for request in requests]),
        "elements": ints([request.elements for request in requests]),
        "sources": texts([request.source for request in requests]),
        "source_generations": ints([request.source_generation for request in requests]),
        "source_retries_of": ints([request.source_retry_of for request in requests]),
        "limits": ints([request.limit for request in requests]),
    }


def _is_of_one_generation(request: ElementRequest) -> bool:
    """Whether all that counts was made in one generation of a map below, as it is unless something was retried."""
    return request.source is not None and request.retry_of is None and request.source_retry_of is None


def _step_names(names: Sequence[tuple[str, str]]) -> Parameters:
    return {"run_ids": uuids([name[0] for name in names]), "slugs": texts([name[1] for name in names])}
