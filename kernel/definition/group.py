"""Where steps are written: a flow, or a branch of one. Both have the same decorators, which live here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypedDict, TypeVar, Unpack, cast, overload

from ..plan import Condition, StepKind
from .define import PLACING, Declaration
from .draft import Draft
from .options import MapOptions, StepOptions
from .step import Step

F = TypeVar("F", bound=Callable[..., object])

StepName: TypeAlias = Callable[..., object] | str | Step
"""How a step is named: by its function, by its slug, or by the `Step` itself."""

Patterns: TypeAlias = Mapping[str, object]
"""What values must contain, by the name of the input or of an earlier step: `{"charge": {"status": "paid"}}`."""


class Placing(TypedDict, total=False):
    """What every kind of step takes beside its options: its name, and its place among the other steps."""

    slug: str | None
    after: Sequence[StepName]
    requires: Sequence[StepName]
    when: Patterns | None
    unless: Patterns | None


class StepArguments(Placing, StepOptions, total=False):
    """What a step takes."""


class MapArguments(Placing, MapOptions, total=False):
    """What a map takes beside its array."""


class _Absent:
    """Stands for an argument that was not given."""


_ABSENT: Final = _Absent()


class Group:
    """Steps that stand in the same branches; those of a flow itself stand in none."""

    _draft: Draft
    _branches: tuple[Condition, ...]
    """Outermost first."""

    @overload
    def step(self, function: F, /, **arguments: Unpack[StepArguments]) -> F: ...
    @overload
    def step(self, /, **arguments: Unpack[StepArguments]) -> Callable[[F], F]: ...
    def step(self, function: object = _ABSENT, /, **arguments: Unpack[StepArguments]) -> object:
        """Add a step of one task; as `@flow.step` or `@flow.step(…)`. The function is returned unchanged.

        Args:
            function: the handler, `async def` or `def`; its parameters are bound by name.
            slug: the step's name, where it is not to be the function's.
            after: earlier steps that must be settled first, though none of their data is needed.
            requires: earlier steps that must have run: if one was skipped, so is this step.
            when: patterns by the names of the input and of earlier steps, all of which must be met. Objects are
                compared partially and recursively, arrays by "contains", scalars by equality.
            unless: such patterns, not all of which may be met.
            arguments: these, and the options of `OPTIONS`.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """
        return self._adding(StepKind.STEP, function, None, arguments)

    @overload
    def map(self, function: F, /, *, over: StepName, **arguments: Unpack[MapArguments]) -> F: ...
    @overload
    def map(self, /, *, over: StepName, **arguments: Unpack[MapArguments]) -> Callable[[F], F]: ...
    def map(self, function: object = _ABSENT, /, *, over: object = None, **arguments: Unpack[MapArguments]) -> object:
        """Add a step of one task per element of an array, as `@flow.map(over=…)`. The function is returned unchanged.

        Args:
            function: the handler; its parameters `item` and `index` receive the element and its index.
            over: the array: an earlier step (a map's outputs are one), the input's name, or a dotted path into either.
            arguments: as for a step, and further options of `OPTIONS`. A condition decides about the whole map.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """
        return self._adding(StepKind.MAP, function, over, arguments)

    def branch(self, *, when: Patterns | None = None, unless: Patterns | None = None) -> Branch:
        """Return a group of steps that run only where a condition is met, and are skipped together where it is not.

        What the condition asks about is a dependency of every step in the group. A branch of a branch stands in both.

        Args:
            when: patterns as for a step, all of which must be met.
            unless: such patterns, not all of which may be met.

        Raises:
            FlowDefinitionError: anything about the condition is wrong.
        """
        return Branch(self._draft, (*self._branches, self._draft.condition(when, unless, self._branches)))

    def _adding(self, kind: StepKind, function: object, over: object, arguments: Mapping[str, object]) -> object:
        """Add a step at once, or return the decorator that does."""
        placing: dict[str, object] = {name: arguments[name] for name in PLACING if name in arguments}
        options = {name: value for name, value in arguments.items() if name not in placing}

        def add(handler: F) -> F:
            self._draft.add(
                Declaration(kind=kind, handler=handler, over=over, branches=self._branches, options=options, **placing)
            )
            return handler

        return add if isinstance(function, _Absent) else add(cast(Callable[..., object], function))


class Branch(Group):
    """Steps of a flow that share a condition; made by `flow.branch(…)`. It may be handed to other modules."""

    def __init__(self, draft: Draft, branches: tuple[Condition, ...]) -> None:
        self._draft = draft
        self._branches = branches

    def otherwise(self) -> Branch:
        """Return the exact complement: its steps run where those of this branch are skipped for its condition.

        Exactly one of the two runs, also where a value that the condition asks about is missing or was skipped. The
        branches around it hold for both. Asked again, it is the same branch again; its own complement is this one.

        Raises:
            FlowDefinitionError: the branches around it leave nothing to the complement.
        """
        return Branch(self._draft, self._draft.complement(self._branches))

    def __repr__(self) -> str:
        return f"Branch({self._draft.site.flow!r}, {len(self._branches)} deep)"
