"""Which kind of connection was passed."""

from __future__ import annotations

from ....ports.callers import InvalidConnection
from .lent import Lent
from .psycopg_connections import lent_by_psycopg

KINDS = "a Session or Connection of SQLAlchemy or a connection of psycopg, asynchronous or not"


def recognise(connection: object) -> Lent:
    """The connection as it can be used.

    Raises:
        InvalidConnection: it is none.
    """
    found = lent_by_psycopg(connection)
    if found is not None:
        return found
    try:
        from .sqlalchemy_connections import lent_by_sqlalchemy
    except ModuleNotFoundError:  # SQLAlchemy is not installed, so it is none of its connections
        pass
    else:
        found = lent_by_sqlalchemy(connection)
    if found is None:
        raise InvalidConnection(f"connection must be {KINDS}, not {connection!r:.200}")
    return found
