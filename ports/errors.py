"""The error families that cross a port.

`FairleadError` is the root of everything Fairlead raises on purpose. Below it stand families by whose fault an
error is: the caller's (`UsageError`, whose concrete classes live in the kernel), the world's (`AdapterError`)
and ours (`CorruptionError`). Adapters translate driver exceptions into `AdapterError` and chain the original.
"""

from __future__ import annotations


class FairleadError(Exception):
    """Root of every error that Fairlead raises on purpose."""


class UsageError(FairleadError):
    """The caller's fault: a definition, an input, a conflict, something not found. Repeating it cannot help."""


class AdapterError(FairleadError):
    """The world's fault: a database, queue or store refused or could not be reached.

    `retryable` says whether the same operation may succeed when tried again from the top.
    """

    retryable: bool = False

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable


class Unavailable(AdapterError):
    """The technology behind a port cannot be reached at the moment, or ended the connection."""

    retryable = True


class CommitUnknown(Unavailable):
    """A commit was sent and its answer was lost: the effect may or may not have happened.

    Whoever receives it repeats the same command; every command on the hot path recognises its own effect.
    """


class Contention(AdapterError):
    """Deadlock, serialization failure or lock timeout: the transaction was rolled back; run it again."""

    retryable = True


class UnstorableValue(AdapterError):
    """The store refused the content of a value. The same value will be refused again."""


class CorruptionError(FairleadError):
    """Ours: state that the rules make impossible was met. Stop, report, and do not guess."""
