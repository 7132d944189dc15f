"""The order in which the steps of a run are shown: that of their definition, whether or not the flow is known here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from ..ports.persistence import Persistence
from ..ports.reading import RunRecord, StepRecord
from .definition import Shape


@frozen
class StepOrder:
    """The places of a flow's steps."""

    places: Mapping[str, int]

    def of(self, slug: str) -> tuple[int, str]:
        """What to sort by. A step without a place, as one that the flow has lost since, comes last, by slug."""
        return self.places.get(slug, len(self.places)), slug

    def sort(self, steps: Iterable[StepRecord]) -> list[StepRecord]:
        """Steps by generation, then in order of definition."""
        return sorted(steps, key=lambda step: (step.generation, self.of(step.slug)))


def as_they_stand(steps: Iterable[StepRecord]) -> list[StepRecord]:
    """Each step in its highest generation alone, in the order in which they come: what it is now, not what it was."""
    steps = list(steps)
    highest: dict[str, int] = {}
    for step in steps:
        highest[step.slug] = max(step.generation, highest.get(step.slug, 0))
    return [step for step in steps if step.generation == highest[step.slug]]


async def read_step_order(persistence: Persistence, run: RunRecord) -> StepOrder:
    """The order of definition that is registered for a run's flow and version.

    That is the order in which its code stood when it was registered first; of a `dev` version, last. A `dev` version
    may have another shape by now than the run; what it still has keeps its order.
    """
    row = await persistence.read_flow(run.flow, run.version)
    slugs = () if row is None else Shape(row.shape).order
    return StepOrder({slug: place for place, slug in enumerate(slugs)})
