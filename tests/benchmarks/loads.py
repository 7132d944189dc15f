"""W1 once more, while something weighs upon the store: history, waiting runs, an open transaction, a pooler, hosts.

What counts is the ratio to W1 of the same repeat.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from attrs import evolve

from tests.support import pgbouncer
from tests.support.pgbouncer import database_of

from . import history
from .drains import Way, drain, one_steps
from .figures import Figure, NotMeasurable
from .processes import Server
from .sizes import Sizes


def beside_finished(server: Server, sizes: Sizes) -> Figure:
    """W6: with finished runs in the tables."""
    return drain(server, sizes, evolve(one_steps("W6", sizes), history=history.finished))


def beside_waiting(server: Server, sizes: Sizes) -> Figure:
    """W6w: with runs in the tables that wait for a time or a signal far ahead."""
    return drain(server, sizes, evolve(one_steps("W6w", sizes), history=history.waiting))


def beside_open_transaction(server: Server, sizes: Sizes) -> Figure:
    """W7: while another session holds a snapshot, so that no version of a row that has gone can be cleaned away."""
    return drain(server, sizes, evolve(one_steps("W7", sizes), circumstances=_open_transaction))


def through_pooler(server: Server, sizes: Sizes) -> Figure:
    """W8: through PgBouncer in transaction mode.

    Raises:
        NotMeasurable: it is not installed.
    """
    if pgbouncer.PROGRAM is None:
        raise NotMeasurable("W8", "PgBouncer is not installed")
    return drain(server, sizes, evolve(one_steps("W8", sizes), circumstances=_pooler))


def with_many_hosts(server: Server, sizes: Sizes) -> Figure:
    """Many hosts, each a process with all its slots, at once."""
    return drain(server, sizes, evolve(one_steps("hosts", sizes), workers=sizes.hosts))


@contextmanager
def _open_transaction(url: str, sizes: Sizes) -> Generator[Way]:
    with psycopg.connect(url) as bystander:
        bystander.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        bystander.execute("SELECT count(*) FROM fairlead.runs")
        yield Way(url, {"prepare": sizes.prepare})
        bystander.rollback()


@contextmanager
def _pooler(url: str, sizes: Sizes) -> Generator[Way]:
    """As an application is told to go through it: nothing is prepared, and what listens goes past it."""
    with pgbouncer.pgbouncer(url) as bouncer:
        database = database_of(url)
        try:
            yield Way(bouncer.url(database), {"prepare": False, "listen_url": url})
        finally:
            bouncer.forget(database)
