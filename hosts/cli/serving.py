"""The kernel that a command works with: found, given its ports, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from attrs import frozen

from ...kernel import Kernel
from ...ports.errors import UsageError
from .command import DatabaseChoice
from .database import Database, open_database
from .loading import build_kernel, find_target, takes_ports


class DatabaseNotTaken(UsageError):
    """A database was named for a kernel that has ports of its own."""

    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__(
            f"{target!r} brings its own database, so --database, --data-folder, --schema and --blobs cannot "
            "apply; leave them out, or make it a function that takes `ports`"
        )


@frozen(kw_only=True)
class KernelSource:
    """Makes the kernel when an event loop runs."""

    make: Callable[[], Kernel]
    database: Database | None
    """The database that the kernel is put on; None where it brings its own."""


@contextmanager
def open_kernel(target: str, choice: DatabaseChoice) -> Generator[KernelSource]:
    """Find a kernel's source, and the database for it if it takes ports.

    Raises:
        UsageError: the target is not there, not usable, or takes no database although one was named.
        AdapterError: the embedded server cannot run here.
    """
    found = find_target(target)
    if not takes_ports(target, found):
        if not choice.open:
            raise DatabaseNotTaken(target)
        yield KernelSource(make=lambda: build_kernel(target, found, None), database=None)
        return
    with open_database(choice) as database:
        yield KernelSource(make=lambda: build_kernel(target, found, database.ports()), database=database)
