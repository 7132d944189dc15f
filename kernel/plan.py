"""What the decisions know of a flow: its steps, edges and options as plain data.

A `Plan` is compiled once from a sealed `Flow`. It holds no handlers and no types: deciding needs neither.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cached_property

from attrs import field, frozen

INPUT = "input"
"""The canonical name of the run's input among the sources of a step, whatever `input_name` handlers use."""


class StepKind(enum.StrEnum):
    """What a step is made of."""

    STEP = "step"
    """One task."""
    MAP = "map"
    """One task per element of an array."""


@frozen(kw_only=True)
class MapSource:
    """The array that a map works over."""

    name: str
    """`INPUT`, or the slug of an earlier step."""
    path: tuple[str, ...] = ()
    """Object keys that lead from that value to the array; empty where the value itself is the array."""

    @property
    def dotted(self) -> str:
        """The source as it is written in `over=`, which is also its key among the facts of its value."""
        return ".".join((self.name, *self.path))


@frozen(kw_only=True)
class StepPlan:
    """One step, as the decisions see it. Durations are seconds."""

    slug: str
    kind: StepKind = StepKind.STEP
    dependencies: tuple[str, ...] = ()
    """Slugs of all earlier steps that must be settled first, each once, in order of definition."""
    source: MapSource | None = None
    """Set for a map, and only there."""
    queue: str = "default"
    max_attempts: int = 3
    base_delay_s: float = 1.0
    max_delay_s: float = 3600.0
    jitter: float = 0.0
    """Fraction (0…1) of a retry's delay that is varied, derived from the task's id."""
    timeout_s: float = 60.0
    start_delay_s: float = 0.0
    max_concurrency: int | None = None
    """For maps: the largest number of non-terminal tasks at a time."""


@frozen(kw_only=True)
class Plan:
    """A sealed flow as the decisions see it."""

    slug: str
    version: str
    fingerprint: str
    steps: Mapping[str, StepPlan] = field(repr=False)
    """By slug, in order of definition: a step stands after everything it depends on."""

    @cached_property
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """For each slug the steps that depend on it directly, in order of definition."""
        found: dict[str, list[str]] = {slug: [] for slug in self.steps}
        for step in self.steps.values():
            for dependency in step.dependencies:
                found[dependency].append(step.slug)
        return {slug: tuple(later) for slug, later in found.items()}

    @cached_property
    def neighbours(self) -> Mapping[str, tuple[str, ...]]:
        """For each slug the steps that the end of one of its tasks touches, unless empty maps make it cascade.

        The step, its dependents, and the steps whose arrays these work over.
        """
        found: dict[str, tuple[str, ...]] = {}
        for slug, dependents in self.dependents.items():
            sources = (self.steps[dependent].source for dependent in dependents)
            arrays = (source.name for source in sources if source is not None and source.name in self.steps)
            found[slug] = tuple(dict.fromkeys((slug, *dependents, *arrays)))
        return found

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The steps that nothing depends on; their outputs are the run's output."""
        return tuple(slug for slug, later in self.dependents.items() if not later)

    @cached_property
    def mapped_paths(self) -> Mapping[str, tuple[MapSource, ...]]:
        """For `INPUT` and each slug the arrays in its value that some map works over."""
        found: dict[str, dict[str, MapSource]] = {}
        for step in self.steps.values():
            if step.source is not None:
                found.setdefault(step.source.name, {})[step.source.dotted] = step.source
        return {name: tuple(sources.values()) for name, sources in found.items()}
