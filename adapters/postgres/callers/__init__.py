"""`CallerConnections` for connections of SQLAlchemy and psycopg, as applications have them.

Statements. Each has one parameter, a JSON text, and answers text and truth values. So whatever driver is below
SQLAlchemy can send it, and whatever an application has taught its connection (row factories, codecs, loaders) is of no
consequence. A batch of runs with keys stands between a savepoint and its release, so that it goes in whole or not at
all; everything else is one insert, and one read where that inserted nothing.

Connections. `recognise(connection)` tells what was passed, and each kind has a class that runs a statement on it. A
connection that commits each statement by itself is refused: there is no transaction that could be joined.

Threads. `blocking` runs a coroutine in the calling thread, in an event loop that ends with it, over a pool of its own
that opens a connection only where one is needed: for registering flows, once, and for inputs that go into blobs.
"""

from __future__ import annotations

from .port import PostgresCallers

__all__ = ["PostgresCallers"]
