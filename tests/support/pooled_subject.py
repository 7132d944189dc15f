"""The PostgreSQL adapters behind PgBouncer in transaction mode, LISTEN alone going by it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

import pytest

from .pgbouncer import Bouncer, database_of
from .postgres_subject import Migrated, Place, create_tables, subject_in
from .subjects import AdapterSubject


def adapter(request: pytest.FixtureRequest) -> AdapterSubject:
    """Everything in PostgreSQL, reached through a pooler."""
    bouncer: Bouncer = request.getfixturevalue("bouncer")
    databases: Callable[[str], AbstractContextManager[str]] = request.getfixturevalue("database_factory")
    template = request.getfixturevalue("template_factory")("migrated", create_tables)

    @contextmanager
    def place() -> Generator[Place]:
        with databases(template) as url:
            name = database_of(url)
            yield Place(url=bouncer.url(name), beside=url)
            bouncer.forget(name)

    return subject_in(Migrated(place))
