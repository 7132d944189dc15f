"""Commands about what waits: looking at waits whose time has come, sending signals, minting resume tokens."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import ClassVar

from ...ports.record import Record
from .base import Command, at_least

RESUME_TOKEN_LIFETIME = timedelta(days=7)
"""How long a resume token may be used unless told otherwise: a week is enough for a person, and not for ever."""


class WakeTasks(Command[int], frozen=True):
    """Look at suspended tasks whose time has come: queue checks, end sleeps, give up. Answers how many. Repeatable."""

    limit: int = 200

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class ExpireRuns(Command[int], frozen=True):
    """Fail runs that did not end by their deadline. Answers how many. Repeatable. It needs no code."""

    needs_flows: ClassVar[bool] = False
    limit: int = 200

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class SignalFate(enum.StrEnum):
    """What became of a signal."""

    DELIVERED = "delivered"
    """Its step was waiting, and goes on with it."""
    KEPT = "kept"
    """Its step does not wait yet; it takes the signal as soon as it does."""


class SendSignal(Command["SentSignal"], frozen=True, kw_only=True):
    """Answer a signal step of a run. Repeatable by its key.

    The payload has been validated against the step's type, and is canonical JSON or a reference.
    """

    run_id: str
    step: str
    key: str
    payload: bytes
    facts: bytes | None
    digest: str
    """SHA-256 (hex) over the canonical payload."""
    expires_at: datetime | None = None
    """After this time only the repetition of an accepted signal is answered; None where there is no such time."""
    patience_s: float | None = None
    """How long a lock of another transaction is waited for, and the command is tried again on account of one; None
    where whoever asks has time."""


class SentSignal(Record, frozen=True, kw_only=True):
    """What became of a signal that was sent."""

    run_id: str
    step: str
    fate: SignalFate
    repeated: bool
    """Whether a signal with the same key and payload had been accepted before; this call changed nothing then."""


class MintResumeToken(Command[str], frozen=True, kw_only=True):
    """Make a token with which somebody may answer a signal step once, without knowing any id. Each call makes one."""

    needs_flows: ClassVar[bool] = False
    run_id: str
    step: str
    expires_at: datetime
