"""An application beside the flows: in transactions of its own it writes a row, starts runs and answers others.

What is in one transaction is there together or not at all. It may be rolled back, and the application may die in it:
before its commit, or while it waits for the answer to that. Then nobody knows, and it does the same again under the
same names, or leaves it to whoever looks in the end.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from attrs import define, field, frozen
from psycopg.conninfo import make_conninfo

from fairlead.kernel import Kernel
from fairlead.ports.errors import AdapterError
from tests.chaos.acknowledged import End, Started
from tests.chaos.jobs import answer_to
from tests.chaos.waiting import answer

DEADLINE_S: Final = 10.0
"""How long a transaction may take; then its connection is closed."""

IDLE_S: Final = 4.0
"""How long the server waits for an application that says nothing in a transaction: it may be dead."""

LEAVE_S: Final = 0.004
"""How long an application that dies while it commits waits for the answer, at most."""

ROWS: Final = "CREATE TABLE public.orders (name text PRIMARY KEY)"
_INSERT: Final = "INSERT INTO public.orders VALUES (%s) ON CONFLICT DO NOTHING"

Blocking = psycopg.Connection[Any]
Asynchronous = psycopg.AsyncConnection[Any]

_TROUBLE: Final = (
    AdapterError,
    psycopg.InterfaceError,
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


@frozen(kw_only=True)
class Wanted:
    """What is to be in one transaction."""

    row: str
    """The name of the row, by which the transaction is known."""
    starts: Mapping[str, Started] = field(factory=dict[str, Started])
    """By key."""
    answered: frozenset[str] = frozenset()
    """Keys of starts whose runs are answered in the same transaction."""
    waiting: Sequence[str] = ()
    """Runs that exist and are answered."""

    @property
    def signal_key(self) -> str:
        """The key of every answer in it."""
        return f"by {self.row}"


@define
class Attempt:
    """How it went once."""

    end: End = End.KILLED
    """Whatever goes wrong before the commit is sent, ends the transaction."""
    runs: dict[str, str] = field(factory=dict[str, str])
    """By key, the runs that were started in it."""


@define(eq=False)
class Application:
    """Does what is wanted, on connections of its own.

    Args:
        kernel: of the application.
        url: of the database.
        promised: runs that it answers, or perhaps has answered, so that nobody else should.
    """

    kernel: Kernel
    url: str
    promised: set[str]

    async def attempt(self, wanted: Wanted, wished: End, drawn: random.Random) -> Attempt:
        """Do it once, in a thread or in the event loop.

        Args:
            wanted: what.
            wished: how it is to end; unless something else goes wrong, it does.
            drawn: what is left open.
        """
        self.promised.update(wanted.waiting)
        leave_s = drawn.uniform(0, LEAVE_S)
        if drawn.random() < 0.5:
            return await asyncio.to_thread(self._in_thread, wanted, wished, leave_s)
        return await self._in_loop(wanted, wished, leave_s)

    async def _in_loop(self, wanted: Wanted, wished: End, leave_s: float) -> Attempt:
        attempt = Attempt()
        try:
            connection = await Asynchronous.connect(self._url_with_bounds)
            with _deadline(connection.pgconn):
                try:
                    await self._put_down(connection, wanted, attempt)
                    if wished is End.ROLLED_BACK:
                        await connection.rollback()
                        attempt.end = End.ROLLED_BACK
                    elif wished is not End.KILLED:
                        attempt.end = End.UNKNOWN
                        with _left_soon(connection.pgconn, leave_s if wished is End.UNKNOWN else None):
                            await connection.commit()
                        attempt.end = End.COMMITTED
                finally:
                    _cut(connection.pgconn)
                    await connection.close()
        except _TROUBLE:
            pass  # the attempt says how far it came
        return attempt

    def _in_thread(self, wanted: Wanted, wished: End, leave_s: float) -> Attempt:
        """As `_in_loop`, where there is no loop."""
        attempt = Attempt()
        try:
            connection = Blocking.connect(self._url_with_bounds)
            with _deadline(connection.pgconn):
                try:
                    self._put_down_blocking(connection, wanted, attempt)
                    if wished is End.ROLLED_BACK:
                        connection.rollback()
                        attempt.end = End.ROLLED_BACK
                    elif wished is not End.KILLED:
                        attempt.end = End.UNKNOWN
                        with _left_soon(connection.pgconn, leave_s if wished is End.UNKNOWN else None):
                            connection.commit()
                        attempt.end = End.COMMITTED
                finally:
                    _cut(connection.pgconn)
                    connection.close()
        except _TROUBLE:
            pass
        return attempt

    async def _put_down(self, connection: Asynchronous, wanted: Wanted, attempt: Attempt) -> None:
        is_first = (await connection.execute(_INSERT, [wanted.row])).rowcount == 1
        for key, started in wanted.starts.items():
            run = await self.kernel.start(started.flow, started.job, key=key, connection=connection)
            self._note(wanted, attempt, key, run.id, is_right=run.created is is_first)
        for run_id in self._to_answer(wanted, attempt):
            given = answer_to(run_id)
            await self.kernel.request_signal(run_id, answer, given, key=wanted.signal_key, connection=connection)

    def _put_down_blocking(self, connection: Blocking, wanted: Wanted, attempt: Attempt) -> None:
        is_first = connection.execute(_INSERT, [wanted.row]).rowcount == 1
        for key, started in wanted.starts.items():
            run = self.kernel.start_sync(started.flow, started.job, key=key, connection=connection)
            self._note(wanted, attempt, key, run.id, is_right=run.created is is_first)
        for run_id in self._to_answer(wanted, attempt):
            given = answer_to(run_id)
            self.kernel.request_signal_sync(run_id, answer, given, key=wanted.signal_key, connection=connection)

    def _note(self, wanted: Wanted, attempt: Attempt, key: str, run_id: str, *, is_right: bool) -> None:
        assert is_right, f"of the row {wanted.row} and the run with key {key} one was there before, and one was not"
        attempt.runs[key] = run_id
        if key in wanted.answered:
            self.promised.add(run_id)

    def _to_answer(self, wanted: Wanted, attempt: Attempt) -> list[str]:
        return [*(attempt.runs[key] for key in sorted(wanted.answered)), *wanted.waiting]

    @property
    def _url_with_bounds(self) -> str:
        idle = f"-c idle_in_transaction_session_timeout={IDLE_S:g}s"
        return make_conninfo(self.url, connect_timeout=5, options=idle)


@contextmanager
def _deadline(pgconn: psycopg.pq.abc.PGconn) -> Generator[None]:
    """Close a connection that is still open then, whatever it waits for."""
    with _left_soon(pgconn, DEADLINE_S):
        yield


@contextmanager
def _left_soon(pgconn: psycopg.pq.abc.PGconn, after_s: float | None) -> Generator[None]:
    """Close a connection after a time, unless the block is over before; None for never."""
    if after_s is None:
        yield
        return
    timer = threading.Timer(after_s, _cut, [pgconn])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _cut(pgconn: psycopg.pq.abc.PGconn) -> None:
    """End a connection as the death of its process would: without a word to the server."""
    try:
        with socket.socket(fileno=socket.dup(pgconn.socket)) as copied:
            copied.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.OperationalError):
        pass  # it has ended before
