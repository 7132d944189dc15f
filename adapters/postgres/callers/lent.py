"""What can be done with a caller's connection, of whatever kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]


class Lent(ABC):
    """A connection of the caller's, for as long as a call of theirs lasts."""

    blocks: bool
    """Whether statements are run in the calling thread, without an event loop."""

    @abstractmethod
    async def rows(self, sql: str, given: str) -> Sequence[Row]:
        """Run one statement that answers rows in the caller's transaction.

        Args:
            sql: with its only parameter as `%(given)s`.
            given: the parameter.

        Raises:
            InvalidConnection: the connection is in no transaction.
            TransactionFailed: the transaction has failed before.
            AdapterError: the statement failed.
        """

    @abstractmethod
    async def run(self, sql: str) -> None:
        """Run one statement that answers nothing; errors as for `rows`."""

    def after_commit(self, act: Callable[[], None]) -> bool:
        """Have `act` called once the transaction has committed; False where nobody tells of that."""
        return False
