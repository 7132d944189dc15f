"""Driver errors become the families of `ports.errors`, in this one place; the original is always chained."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from ...ports.errors import AdapterError, CommitUnknown, Contention, CorruptionError, Unavailable, UnstorableValue


class PoolExhausted(Unavailable):
    """Every connection was in use for longer than a caller may wait."""


class DatabaseRefused(AdapterError):
    """The server answered and will not let us in: wrong password, unknown role or database, no permission."""


class SchemaMissing(AdapterError):
    """The database has no Fairlead tables where they are looked for."""


class SchemaMismatch(AdapterError):
    """The database has the tables of another version of Fairlead."""


_CONTENTION = frozenset({"40001", "40P01", "55P03"})
_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300", "25006", "53100"})
"""The server goes down, starts up, ended the session, has no connection or disk left, or is a standby."""
_REFUSED = {
    "28P01": "check the user and the password in the URL",
    "28000": "check the user in the URL and the server's pg_hba.conf",
    "3D000": "create the database, or correct its name in the URL",
    "42501": "grant the role what `fairlead migrate --sql` needs, or use another role",
}
_MISSING = frozenset({"42P01", "3F000", "42703", "42883"})
_NOT_PREPARED = "26000"
"""The server does not know a prepared statement, and has done nothing. Another connection prepares it anew."""

MIGRATE = "run `fairlead migrate`"
CONNECT_HINT = "check the URL, and that the server runs and is reachable"


@contextmanager
def translated(*, committing: bool = False) -> Generator[None]:
    """Translate what the driver raises inside the block.

    Args:
        committing: whether the block sends a statement that commits, so that a lost answer leaves its effect unknown.
    """
    try:
        yield
    except (psycopg.Error, TimeoutError, OSError, UnicodeEncodeError) as error:
        raise translate(error, committing=committing) from error


def translate(error: Exception, *, committing: bool = False) -> AdapterError | CorruptionError:
    """The error of the port that stands for a driver's error."""
    if isinstance(error, UnicodeEncodeError):
        return UnstorableValue(f"text that is not Unicode: {error}")
    if not isinstance(error, psycopg.Error):
        return _lost(str(error) or "the database did not answer in time", committing)
    text = _first_line(error)
    state = error.sqlstate
    if state is None:
        return _without_state(error, text, committing)
    if state in _CONTENTION:  # recovers 23, 24: the server ends a transaction for another's sake
        return Contention(text)
    if state in _LOST or state.startswith("08"):  # recovers 21, 35: the server goes down, or cannot write
        return _lost(text, committing and state not in {"53300", "25006", "53100"})
    return _by_state(error, state, text)


def translate_connecting(error: Exception) -> AdapterError | CorruptionError:
    """The error of the port for a connection that could not be opened."""
    text = _first_line(error)
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    state = state or _state_in_text(text)
    if state in _REFUSED:
        return DatabaseRefused(f"{text}; {_REFUSED[state]}")
    return Unavailable(f"{text or 'the database did not answer in time'}; {CONNECT_HINT}")


def _without_state(error: psycopg.Error, text: str, committing: bool) -> AdapterError | CorruptionError:
    if isinstance(error, psycopg.DataError):  # recovers 53: the driver refuses a value
        return UnstorableValue(text)
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):  # recovers 21, 26: a connection is cut
        return _lost(text, committing)
    return AdapterError(text)


def _by_state(error: psycopg.Error, state: str, text: str) -> AdapterError | CorruptionError:
    if state in _MISSING:
        return SchemaMissing(f"{text}; {MIGRATE}")
    if state in _REFUSED:
        return DatabaseRefused(f"{text}; {_REFUSED[state]}")
    if state.startswith("22") or isinstance(error, (pg.ProgramLimitExceeded, pg.StatementTooComplex)):
        # recovers 53: the server refuses a value
        return UnstorableValue(text)
    if state.startswith("23"):
        return CorruptionError(text)
    return AdapterError(text, retryable=state == _NOT_PREPARED or state.startswith(("53", "57", "58")))


def _lost(text: str, committing: bool) -> Unavailable:
    if committing:  # recovers 22: the answer to a commit of the database is lost
        return CommitUnknown(f"the answer to a commit was lost: {text}")
    return Unavailable(text)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _state_in_text(text: str) -> str | None:
    """A refused connection carries no SQLSTATE in libpq; these sentences are the server's, in its default language."""
    if "password authentication failed" in text or "no password supplied" in text:
        return "28P01"
    if 'database "' in text and "does not exist" in text:
        return "3D000"
    if 'role "' in text or "no pg_hba.conf entry" in text:
        return "28000"
    return None
