"""What only an extra of the distribution brings, and what to tell those who did not install it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ...ports.errors import AdapterError

POSTGRES = "postgres"
"""The extra with the PostgreSQL adapter's driver."""


class ExtraMissing(AdapterError):
    """A command needs packages that come with an extra, and they cannot be imported here."""

    def __init__(self, extra: str, problem: str) -> None:
        self.extra = extra
        self.problem = problem
        super().__init__(
            f"what PostgreSQL needs is not installed ({problem}): pip install 'fairlead[{extra}]', "
            f"or 'fairlead[{extra},embedded]' for a PostgreSQL server that comes along"
        )


@contextmanager
def importing_postgres() -> Generator[None]:
    """Wrap every import of the PostgreSQL adapter: its driver is optional, and may lack its own library.

    Raises:
        ExtraMissing: something that is not Fairlead's cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "fairlead":
            raise
        raise ExtraMissing(POSTGRES, str(error).partition("\n")[0].rstrip(".: ")) from error
