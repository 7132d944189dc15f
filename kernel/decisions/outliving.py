"""Outliving: when it may be worth looking again at runs that were too young to be pruned.

Runs are looked at in the order of their creation, since their ends are in no index: it would cost each of them a second
update of all indexes, at the time when throughput counts. So a run that takes longer than it is kept afterwards is
passed over by whoever looks for those that may go. What is known from then on is that no run up to that place ended
before a time: the first end that was seen there, or the time of the look itself for those that go on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ...ports.reading import RunCursor

LOOK_AGAIN = timedelta(days=1)
"""How often all runs are looked at whatever is known: those that dead letters kept may go by now, and a run that was
put down in a long transaction may have come to stand before the place."""


class Looked(msgspec.Struct, frozen=True):
    """What is known of a flow's runs: none up to `place` ended before `nothing_before`, unless dead letters keep it."""

    begun_at: datetime
    """When somebody last began to look at all."""
    nothing_before: datetime
    place: RunCursor | None = None

    def serves(self, ended_before: datetime, now: datetime) -> bool:
        """Whether those who look for runs that ended before a time need not look at what was looked at.

        Not by what a clock said that was ahead: a run that had not ended then may have ended before that time.
        """
        return ended_before <= self.nothing_before and self.begun_at <= now < self.begun_at + LOOK_AGAIN

    def further(self, place: RunCursor, next_end: datetime | None) -> Looked:
        """What is known when the runs up to a place were looked at, too.

        Args:
            place: of the last of them.
            next_end: when the first of them ended that are still there; None where none has ended.
        """
        nothing_before = self.nothing_before if next_end is None else min(self.nothing_before, next_end)
        return msgspec.structs.replace(self, nothing_before=nothing_before, place=place)


def first_look(now: datetime) -> Looked:
    """What is known before anything was looked at: what has not ended by now ends later."""
    return Looked(begun_at=now, nothing_before=now)


def encode_looked(looked: Looked) -> bytes:
    """What is known, as it is kept."""
    return _encoder.encode(looked)


def decode_looked(kept: bytes) -> Looked:
    """What `encode_looked` wrote."""
    return _decoder.decode(kept)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Looked)
