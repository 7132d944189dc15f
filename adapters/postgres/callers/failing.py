"""What goes wrong on a caller's connection, in the families of `ports.errors`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from ....ports.callers import TransactionFailed
from ..errors import translate

AUTOCOMMIT = (
    "connection is in autocommit mode and in no transaction, so there is nothing to join; begin a transaction on it, "
    "or leave connection= away"
)


@contextmanager
def translated_for_caller() -> Generator[None]:
    """Translate what psycopg raises inside the block."""
    try:
        yield
    except (psycopg.Error, OSError, UnicodeEncodeError) as error:
        # recovers 29: a statement fails in a caller's transaction
        raise translate_for_caller(error) from error


def translate_for_caller(error: Exception) -> Exception:
    """The error that stands for a driver's: the caller's own where their transaction had failed before."""
    if isinstance(error, pg.InFailedSqlTransaction):
        return TransactionFailed("an earlier statement was refused")
    return translate(error)
