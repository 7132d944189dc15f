"""What the invariants need to know of a stored event. Nothing else in this package looks into a payload."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from attrs import frozen

from .rows import Batch


@frozen(kw_only=True)
class Told:
    """One event: its type, its step if it has one, and the generation in which it happened."""

    type: str
    step: str | None
    generation: int

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


_heads = msgspec.json.Decoder(list[_Head])


def told_by(batch: Batch) -> Sequence[Told]:
    """The events of an outbox row; none where it does not hold a JSON array of events."""
    try:
        heads = _heads.decode(batch.events)
    except msgspec.DecodeError:
        return ()
    return [Told(type=head.type, step=head.step, generation=batch.generation) for head in heads]
