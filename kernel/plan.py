"""What the decisions know of a flow: its steps, edges and options as plain data.

A `Plan` is compiled once from a sealed `Flow`. It holds no handlers and no types: deciding needs neither.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Literal, TypeAlias

from attrs import field, frozen

from .containment import elements_of

INPUT = "input"
"""The canonical name of the run's input among the sources of a step, whatever `input_name` handlers use."""


class StepKind(enum.StrEnum):
    """What a step is made of."""

    STEP = "step"
    """One task."""
    MAP = "map"
    """One task per element of an array."""
    SIGNAL = "signal"
    """One task, which waits for somebody's answer; no host runs it."""
    SLEEP = "sleep"
    """One task, which waits for its time; no host runs it."""


@frozen(kw_only=True)
class ValuePath:
    """A value, or what stands at a path in it: the array that a map works over, the time that a sleep waits for."""

    name: str
    """`INPUT`, or the slug of an earlier step."""
    path: tuple[str, ...] = ()
    """Object keys that lead from that value to what is meant; empty where the value itself is."""

    @property
    def dotted(self) -> str:
        """As it is written in `over=` and `until=`, which is also its key among the facts of its value."""
        return ".".join((self.name, *self.path))


class Consequence(enum.StrEnum):
    """What follows where a step's condition is unmet, or its attempts are used up."""

    FAIL = "fail"
    """The run fails."""
    SKIP = "skip"
    """The step is skipped; the steps after it decide for themselves."""
    SKIP_CASCADE = "skip_cascade"
    """The step is skipped, and with it every step that depends on it, directly or not."""


@frozen
class Pattern:
    """What a value must contain: objects partially and recursively, arrays by "contains", scalars by equality."""

    name: str
    """Whose value: `INPUT`, or the slug of an earlier step. That of a skipped step contains nothing."""
    document: bytes
    """The pattern as canonical JSON."""


@frozen(kw_only=True)
class Condition:
    """Whether a step runs: every pattern of `when` is met and not all of `unless` are, or, negated, the opposite."""

    when: tuple[Pattern, ...] = ()
    unless: tuple[Pattern, ...] = ()
    negated: bool = False
    """For `branch.otherwise()`."""

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """All of its patterns."""
        return (*self.when, *self.unless)


@frozen(kw_only=True)
class Questions:
    """What decisions ask about one value. Whoever holds the value answers them, as its facts (`kernel.facts`)."""

    arrays: tuple[ValuePath, ...] = ()
    """The arrays in it that maps work over."""
    times: tuple[ValuePath, ...] = ()
    """The times in it that sleeps wait for."""
    patterns: tuple[bytes, ...] = ()
    """Patterns that it may contain, canonical JSON in ascending order; for the output of one task of a map, the
    elements of such patterns."""

    @cached_property
    def places(self) -> Mapping[bytes, int]:
        """Where each pattern stands among `patterns`, and its answer among the facts' `matches`."""
        return {pattern: place for place, pattern in enumerate(self.patterns)}

    def __bool__(self) -> bool:
        return bool(self.arrays or self.times or self.patterns)


NO_QUESTIONS = Questions()

Tolerance: TypeAlias = int | float | Literal["all"]
"""How many elements of a map may fail: a count, a fraction of all (rounded down), or every one."""


@frozen(kw_only=True)
class StepPlan:
    """One step, as the decisions see it. Durations are seconds."""

    slug: str
    kind: StepKind = StepKind.STEP
    dependencies: tuple[str, ...] = ()
    """Slugs of all earlier steps that must be settled first, each once, in order of definition."""
    source: ValuePath | None = None
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
    condition: Condition | None = None
    """The step's own."""
    branches: tuple[Condition, ...] = ()
    """Those of the branches that the step stands in, outermost first. Unmet, they skip the step, and no more."""
    requires: tuple[str, ...] = ()
    """Dependencies that must have run: if one was skipped, so is this step."""
    on_unmet: Consequence = Consequence.SKIP
    """What follows where `condition` is unmet."""
    on_exhausted: Consequence = Consequence.FAIL
    """What follows where a task has failed for good, or for a map, more of them than are tolerated."""
    tolerate_failures: Tolerance = 0
    """For maps: how many elements may fail."""
    wait_s: float | None = None
    """For a signal, how long it is waited for (None: for ever); for a sleep, how long it lasts (None: see `until`)."""
    until: ValuePath | None = None
    """For a sleep whose end is data: the time in an earlier value."""
    on_timeout: Consequence = Consequence.FAIL
    """For a signal: what follows where it did not come in time."""

    @property
    def conditions(self) -> Iterator[Condition]:
        """Every condition that the step is under, in the order in which they are evaluated."""
        yield from self.branches
        if self.condition is not None:
            yield self.condition

    @cached_property
    def is_unconditional(self) -> bool:
        """Whether nothing but its dependencies keeps the step from running, as with most."""
        return not (self.requires or self.branches or self.condition)

    def tolerated(self, elements: int) -> int:
        """How many of so many elements may fail."""
        tolerance = self.tolerate_failures
        if tolerance == "all":
            return elements
        # As it is written: in binary 0.29 of 100 would be 28.
        return tolerance if isinstance(tolerance, int) else int(Decimal(repr(tolerance)) * elements)


@frozen(kw_only=True)
class Plan:
    """A sealed flow as the decisions see it."""

    slug: str
    version: str
    fingerprint: str
    steps: Mapping[str, StepPlan] = field(repr=False)
    """By slug, in order of definition: a step stands after everything it depends on."""
    run_timeout_s: float | None = None
    """How long a run may take from its claim on; None for as long as it needs."""
    retention_s: float | None = None
    """How long hosts keep a run after its end; None where nobody has said so. No decision asks for it."""

    @cached_property
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """For each slug the steps that depend on it directly, in order of definition."""
        found: dict[str, list[str]] = {slug: [] for slug in self.steps}
        for step in self.steps.values():
            for dependency in step.dependencies:
                found[dependency].append(step.slug)
        return {slug: tuple(later) for slug, later in found.items()}

    def descendants(self, slug: str) -> Iterator[str]:
        """The steps that depend on one, directly or not, in order of definition."""
        reached = {slug}
        for step in self.steps.values():
            if not reached.isdisjoint(step.dependencies):
                reached.add(step.slug)
                yield step.slug

    @cached_property
    def neighbours(self) -> Mapping[str, tuple[str, ...]]:
        """For each slug the steps that the end of one of its tasks touches, unless empty maps make it cascade.

        The step, its dependents, and the steps that these ask about: those whose arrays they work over, those that
        their conditions name, and those that they require. For a map over a map, that one too: its elements are asked
        for as the window advances.
        """
        found: dict[str, tuple[str, ...]] = {}
        for slug, dependents in self.dependents.items():
            asked = (name for dependent in dependents for name in self._asked_about(self.steps[dependent]))
            source = self.steps[slug].source
            mine = () if source is None or not self.is_map(source.name) else (source.name,)
            found[slug] = tuple(dict.fromkeys((slug, *dependents, *asked, *mine)))
        return found

    def _asked_about(self, step: StepPlan) -> Iterator[str]:
        """The steps whose rows say whether and how `step` starts."""
        names = [pattern.name for condition in step.conditions for pattern in condition.patterns]
        names += (place.name for place in (step.source, step.until) if place is not None)
        return (name for name in (*names, *step.requires) if name in self.steps)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The steps that nothing depends on; their outputs are the run's output."""
        return tuple(slug for slug, later in self.dependents.items() if not later)

    @cached_property
    def mapped_paths(self) -> Mapping[str, tuple[ValuePath, ...]]:
        """For `INPUT` and each slug the arrays in its value that some map works over."""
        found: dict[str, dict[str, ValuePath]] = {}
        for step in self.steps.values():
            if step.source is not None:
                found.setdefault(step.source.name, {})[step.source.dotted] = step.source
        return {name: tuple(sources.values()) for name, sources in found.items()}

    @cached_property
    def questions(self) -> Mapping[str, Questions]:
        """For `INPUT` and each slug what decisions ask about its value; for a map, about the output of each task."""
        patterns: dict[str, set[bytes]] = {}
        for step in self.steps.values():
            for pattern in (each for condition in step.conditions for each in condition.patterns):
                asked = elements_of(pattern.document) if self.is_map(pattern.name) else (pattern.document,)
                patterns.setdefault(pattern.name, set()).update(asked)
        return {
            name: Questions(
                arrays=() if self.is_map(name) else self.mapped_paths.get(name, ()),
                times=tuple({until.dotted: until for until in self._ends(name)}.values()),
                patterns=tuple(sorted(patterns.get(name, ()))),
            )
            for name in (INPUT, *self.steps)
        }

    @cached_property
    def maps_over(self) -> Mapping[str, tuple[StepPlan, ...]]:
        """For `INPUT` and each slug the maps that work over its value or an array in it."""
        found: dict[str, list[StepPlan]] = {name: [] for name in (INPUT, *self.steps)}
        for step in self.steps.values():
            if step.source is not None:
                found[step.source.name].append(step)
        return {name: tuple(maps) for name, maps in found.items()}

    @cached_property
    def sleeps_until(self) -> Mapping[str, tuple[StepPlan, ...]]:
        """For `INPUT` and each slug the sleeps that end at a time in its value."""
        found: dict[str, list[StepPlan]] = {name: [] for name in (INPUT, *self.steps)}
        for step in self.steps.values():
            if step.until is not None:
                found[step.until.name].append(step)
        return {name: tuple(sleeps) for name, sleeps in found.items()}

    def _ends(self, name: str) -> Iterator[ValuePath]:
        """The times in a value at which sleeps end."""
        return (step.until for step in self.sleeps_until[name] if step.until is not None)

    @cached_property
    def _maps(self) -> frozenset[str]:
        return frozenset(slug for slug, step in self.steps.items() if step.kind is StepKind.MAP)

    def is_map(self, name: str) -> bool:
        """Whether a name is that of a map."""
        return name in self._maps
