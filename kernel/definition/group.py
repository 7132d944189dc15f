"""Where steps are written: a flow, or a branch of one. Both have the same decorators, which live here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypedDict, TypeVar, Unpack, cast, overload

from ..durations import Duration
from ..plan import Condition, StepKind
from .declaring import PLACING, Placing
from .define import HandlerDeclaration
from .draft import Draft
from .handler import names_in_sight
from .options import MapOptions, SignalOptions, SleepOptions, StepOptions
from .step import Step
from .waiting import NotGiven, SignalDeclaration, SleepDeclaration, stand_in

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")

StepName: TypeAlias = Callable[..., object] | str | Step[Any]
"""How a step is named: by its function, by its slug, or by the `Step` itself."""

Patterns: TypeAlias = Mapping[str, object]
"""What values must contain, by the name of the input or of an earlier step: `{"charge": {"status": "paid"}}`."""


class PlacingArguments(TypedDict, total=False):
    """What every kind of step takes beside its options: its place among the other steps."""

    after: Sequence[StepName]
    requires: Sequence[StepName]
    when: Patterns | None
    unless: Patterns | None


class StepArguments(PlacingArguments, StepOptions, total=False):
    """What a step takes."""

    slug: str | None


class MapArguments(PlacingArguments, MapOptions, total=False):
    """What a map takes beside its array."""

    slug: str | None


class SignalArguments(PlacingArguments, SignalOptions, total=False):
    """What a signal takes beside its name and type."""


class SleepArguments(PlacingArguments, SleepOptions, total=False):
    """What a sleep takes beside its name and end."""


_ABSENT: Final = NotGiven()


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

    @overload
    def signal(self, slug: str, payload: type[T], /, **arguments: Unpack[SignalArguments]) -> Step[T]: ...
    @overload
    def signal(self, slug: str, payload: object, /, **arguments: Unpack[SignalArguments]) -> Step[Any]: ...
    def signal(self, slug: str, payload: object, /, **arguments: Unpack[SignalArguments]) -> Step[Any]:
        """Add a step that waits for an answer from outside: `approval = flow.signal("approval", Approval)`.

        It is ready when what it depends on is settled, and completes when somebody sends the signal; until then it
        holds no slot and no connection. A signal that was sent before is kept for it.

        Args:
            slug: the step's name.
            payload: the type of what the signal carries, which is the step's output.
            after: as for a step; so are `requires`, `when`, `unless` and `on_unmet`.
            timeout: how long the signal is waited for; for ever by default.
            on_timeout: what follows where it does not come in time, by default `"fail"`.
            arguments: these.

        Returns:
            The step, which stands wherever a step is named.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """
        placing, options = self._taken_apart(arguments)
        declared = SignalDeclaration(
            name=slug, payload=payload, names=names_in_sight(), placing=placing, options=options
        )
        return self._draft.add(declared) or stand_in(StepKind.SIGNAL, slug)

    @overload
    def sleep(self, slug: str, duration: Duration, /, **arguments: Unpack[SleepArguments]) -> Step[None]: ...
    @overload
    def sleep(self, slug: str, /, *, until: StepName, **arguments: Unpack[SleepArguments]) -> Step[None]: ...
    def sleep(
        self,
        slug: str,
        duration: object = _ABSENT,
        /,
        *,
        until: object = _ABSENT,
        **arguments: Unpack[SleepArguments],
    ) -> Step[None]:
        """Add a step that waits for its time: `flow.sleep("cool_down", timedelta(hours=1))`. It gives None.

        It holds no slot and no connection meanwhile.

        Args:
            slug: the step's name.
            duration: how long it lasts, from when what it depends on is settled; a `timedelta` or seconds.
            until: instead of that, the time when it ends: an earlier step that gives a `datetime`, the input's name, or
                a dotted path into either (`"plan.send_at"`). A time that has passed, or None, ends it at once.
            after: as for a step; so are `requires`, `when`, `unless` and `on_unmet`.
            arguments: these.

        Returns:
            The step, which stands wherever a step is named.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """
        placing, options = self._taken_apart(arguments)
        declared = SleepDeclaration(name=slug, duration=duration, until=until, placing=placing, options=options)
        return self._draft.add(declared) or stand_in(StepKind.SLEEP, slug)

    def check(self, step: StepName, /) -> Callable[[F], F]:
        """Register the check of a step that may suspend, as `@flow.check(compute)`. The function is returned unchanged.

        While the step is suspended its check is called, no earlier than `Suspend` asks for, and by one host at a time.
        It returns the step's output, or `Suspend` again. Its parameters are `state`, what the step suspended with; the
        input, `config`, `ctx` and resources; and the steps on which its step depends.

        Args:
            step: its step, whose annotation says that it may suspend: `-> Report | Suspend[Batch]`.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """
        checked = self._draft.to_check(step)

        def add(function: F) -> F:
            if checked is not None:
                self._draft.add_check(checked, function)
            return function

        return add

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
        placing, options = self._taken_apart(arguments)
        slug = options.pop("slug", None)

        def add(handler: F) -> F:
            declared = HandlerDeclaration(
                kind=kind, handler=handler, slug=slug, over=over, placing=placing, options=options
            )
            self._draft.add(declared)
            return handler

        return add if isinstance(function, NotGiven) else add(cast(Callable[..., object], function))

    def _taken_apart(self, arguments: Mapping[str, object]) -> tuple[Placing, dict[str, object]]:
        """Where a step stands, and its options."""
        placing: dict[str, Any] = {name: arguments[name] for name in PLACING if name in arguments}
        options = {name: value for name, value in arguments.items() if name not in placing}
        return Placing(branches=self._branches, **placing), options


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
