"""What the invariants need to know of a stored event. Nothing else in this package looks into a payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
from attrs import frozen

from .annotations import Comparable, searched
from .rows import Batch

CACHED_MAX = 10_000
"""Outbox rows that are remembered as read: invariants are checked again after every commit of a simulation."""


@frozen(kw_only=True)
class Told:
    """One event: its type, its step if it has one, and the generation in which it happened."""

    type: str
    step: str | None
    generation: int
    annotations: Mapping[str, Comparable] | None = None
    """What it annotates its run with, if it does."""

    @property
    def of_run(self) -> bool:
        """Whether it tells of its run rather than of one of its steps."""
        return self.type.startswith("run.")

    @property
    def ends_run(self) -> bool:
        """Whether it tells that its run became terminal."""
        return self.type in ("run.completed", "run.failed", "run.cancelled")

    @property
    def ends_step(self) -> bool:
        """Whether it tells that its step became terminal."""
        return self.type in ("step.completed", "step.failed", "step.skipped")


class _Head(msgspec.Struct):
    type: str
    step: str | None = None
    annotations: msgspec.Raw = msgspec.Raw()


_heads = msgspec.json.Decoder(list[_Head])


def told_by(batch: Batch) -> Sequence[Told]:
    """The events of an outbox row; none where it does not hold a JSON array of events."""
    return _told(batch.events, batch.generation)


@lru_cache(CACHED_MAX)
def _told(events: bytes, generation: int) -> Sequence[Told]:
    try:
        heads = _heads.decode(events)
    except msgspec.DecodeError:
        return ()
    return tuple(
        Told(
            type=head.type,
            step=head.step,
            generation=generation,
            annotations=searched(data) if (data := bytes(head.annotations)) else None,
        )
        for head in heads
    )
