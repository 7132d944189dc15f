"""`Flow`: what users write flows with, and what kernels and hosts read them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, TypeAlias, TypedDict, TypeVar, Unpack, cast, overload

from attrs import evolve, frozen

from ..errors import FlowDefinitionError
from ..plan import INPUT, Plan, StepKind
from ..schema import ANY, Schema
from .checks import agreed_input, check_types
from .config import merge_config
from .define import Declaration, define
from .handler import Names, names_in_sight
from .names import input_name_problem, slug_problem
from .options import FlowOptions, MapOptions, OptionProblem, Scope, StepOptions, parse_options
from .parameters import schema_of
from .shape import Shape, shape_of
from .site import Site
from .step import Step

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

Reference: TypeAlias = Callable[..., object] | str | Step
"""How a step is named: by its function, by its slug, or by the `Step` itself."""

DEV: Final = "dev"
"""The version that replaces its shape while no run is in flight."""
VERSION_MAX: Final = 2**31 - 1
"""The largest integer that every store holds."""


class _Absent:
    """Stands for an argument that was not given."""


_ABSENT: Final = _Absent()


class _Declared(TypedDict):
    kind: StepKind
    slug: str | None
    after: object
    over: object
    options: Mapping[str, object]


@frozen
class _Sealed:
    """What is known of a flow once nothing can be added."""

    plan: Plan
    shape: Shape


class Flow(Generic[T]):
    """A flow: steps and what passes between them, known in full before any run.

    Args:
        slug: the flow's name, 1 to 128 letters, digits and underscores.
        version: an int from 1; a changed shape needs a new one. `"dev"` replaces its shape when no run is in flight.
        input: the type of a run's input; without it the type is taken from the steps' annotations.
        input_name: the name by which handlers and `over=` see the input.
        options: for all steps, each of which may override them.

    Raises:
        FlowDefinitionError: one of these is wrong.
    """

    @overload
    def __init__(
        self,
        slug: str,
        *,
        version: int | Literal["dev"],
        input: type[T],
        input_name: str = ...,
        **options: Unpack[FlowOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Flow[Any],
        slug: str,
        *,
        version: int | Literal["dev"],
        input: object = ...,
        input_name: str = ...,
        **options: Unpack[FlowOptions],
    ) -> None: ...
    def __init__(
        self,
        slug: str,
        *,
        version: object,
        input: object = _ABSENT,
        input_name: str = INPUT,
        **options: Unpack[FlowOptions],
    ) -> None:
        self._steps: dict[str, Step] = {}
        self._sealed: _Sealed | None = None
        self._site = Site(flow=slug, input_name=input_name, earlier=self._steps)
        self._check_names()
        self._version = self._checked_version(version)
        self._options = self._parsed(options)
        self._input_is_declared = not isinstance(input, _Absent)
        self._produced: dict[str, Schema] = {}
        """What the steps give to their dependents, and the input's type (under `INPUT`) once it is known."""
        if self._input_is_declared:
            self._produced[INPUT] = self._declared_input(input, names_in_sight())

    @property
    def slug(self) -> str:
        """The flow's name."""
        return self._site.flow

    @property
    def version(self) -> str:
        """The flow's version as text."""
        return self._version

    @property
    def input_name(self) -> str:
        """The name by which handlers and `over=` see the input."""
        return self._site.input_name

    @property
    def input_schema(self) -> Schema:
        """The type of a run's input: of `input=`, else of the annotations so far, else `ANY`."""
        return self._produced.get(INPUT, ANY)

    @property
    def steps(self) -> Mapping[str, Step]:
        """The steps by slug, in order of definition."""
        return MappingProxyType(self._steps)

    @property
    def plan(self) -> Plan:
        """What the decisions know of the sealed flow."""
        return self._after_sealing("plan").plan

    @property
    def shape(self) -> Shape:
        """The sealed flow's structure and types, and their fingerprint."""
        return self._after_sealing("shape").shape

    def __repr__(self) -> str:
        return f"Flow({self.slug!r}, version={self.version}, steps={list(self._steps)})"

    @overload
    def step(
        self,
        function: F,
        /,
        *,
        slug: str | None = ...,
        after: Sequence[Reference] = ...,
        **options: Unpack[StepOptions],
    ) -> F: ...
    @overload
    def step(
        self,
        /,
        *,
        slug: str | None = ...,
        after: Sequence[Reference] = ...,
        **options: Unpack[StepOptions],
    ) -> Callable[[F], F]: ...
    def step(
        self,
        function: object = _ABSENT,
        /,
        *,
        slug: str | None = None,
        after: Sequence[Reference] = (),
        **options: Unpack[StepOptions],
    ) -> object:
        """Add a step of one task; as `@flow.step` or `@flow.step(…)`. The function is returned unchanged.

        Args:
            function: the handler, `async def` or `def`; its parameters are bound by name.
            slug: the step's name, where it is not to be the function's.
            after: earlier steps that must be settled first, though none of their data is needed.
            options: see `OPTIONS`.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """

        return self._adding(function, kind=StepKind.STEP, slug=slug, after=after, over=None, options=options)

    @overload
    def map(
        self,
        function: F,
        /,
        *,
        over: Reference,
        slug: str | None = ...,
        after: Sequence[Reference] = ...,
        **options: Unpack[MapOptions],
    ) -> F: ...
    @overload
    def map(
        self,
        /,
        *,
        over: Reference,
        slug: str | None = ...,
        after: Sequence[Reference] = ...,
        **options: Unpack[MapOptions],
    ) -> Callable[[F], F]: ...
    def map(
        self,
        function: object = _ABSENT,
        /,
        *,
        over: object = _ABSENT,
        slug: str | None = None,
        after: Sequence[Reference] = (),
        **options: Unpack[MapOptions],
    ) -> object:
        """Add a step of one task per element of an array, as `@flow.map(over=…)`. The function is returned unchanged.

        Args:
            function: the handler; its parameters `item` and `index` receive the element and its index.
            over: the array: an earlier step (a map's outputs are one), the input's name, or a dotted path into either.
            slug: the step's name, where it is not to be the function's.
            after: earlier steps that must be settled first, though none of their data is needed.
            options: see `OPTIONS`.

        Raises:
            FlowDefinitionError: anything about it is wrong.
        """
        if isinstance(over, _Absent):
            name = slug or getattr(function, "__name__", None)
            raise FlowDefinitionError("a map needs its array: write @flow.map(over=…)", flow=self.slug, step=name)
        return self._adding(function, kind=StepKind.MAP, slug=slug, after=after, over=over, options=options)

    def seal(self) -> None:
        """Close the flow: check what needs all of it, and compile it. A kernel does this; a second time does nothing.

        Raises:
            FlowDefinitionError: the flow has no steps, or a map over the input does not fit the input's type.
        """
        if self._sealed is not None:
            return
        if not self._steps:
            raise self._site.error("there are no steps; decorate a function with @flow.step")
        produced = {**self._produced, INPUT: self.input_schema}
        for step in self._steps.values():
            check_types(step.binding, step.source, produced, evolve(self._site, step=step.slug))
        shape = shape_of(self.input_schema, self._steps, self._site)
        steps = {slug: step.plan() for slug, step in self._steps.items()}
        plan = Plan(slug=self.slug, version=self.version, fingerprint=shape.fingerprint, steps=steps)
        self._sealed = _Sealed(plan, shape)

    def step_named(self, reference: Reference, place: str = "reference") -> Step:
        """Return the step that a function, a slug or a `Step` stands for.

        Args:
            reference: the step; a function that is several steps must be named by slug.
            place: what the reference was passed as, for the message.

        Raises:
            FlowDefinitionError: there is no such step, or there are several.
        """
        return self._site.find(reference, place)

    def merge_config(self, given: Mapping[str, object] | None = None) -> dict[str, bytes]:
        """Return the complete settings of every step that takes some, as canonical JSON by slug.

        Args:
            given: settings by step slug, each a mapping of fields or an instance of the step's class.

        Raises:
            PayloadError: with every problem and its path.
        """
        return merge_config(self.slug, self._steps, given)

    def _adding(self, function: object, **declared: Unpack[_Declared]) -> object:
        """Add a step at once, or return the decorator that does."""

        def add(handler: F) -> F:
            self._add(Declaration(handler=handler, **declared))
            return handler

        return add if isinstance(function, _Absent) else add(cast(Callable[..., object], function))

    def _add(self, declared: Declaration) -> None:
        if self._sealed is not None:
            name = declared.slug or getattr(declared.handler, "__name__", None)
            message = "the flow is sealed: a kernel has taken it; define all steps before the kernel is made"
            raise FlowDefinitionError(message, flow=self.slug, step=cast("str | None", name))
        step = define(declared, self._site, self._options)
        site = evolve(self._site, step=step.slug)
        known = self._produced.get(INPUT)
        agreed = known if self._input_is_declared else agreed_input(known, step.binding, site)
        produced = self._produced if agreed is known else {**self._produced, INPUT: cast(Schema, agreed)}
        check_types(step.binding, step.source, produced, site)
        self._steps[step.slug] = step
        self._produced = produced
        self._produced[step.slug] = step.produced

    def _after_sealing(self, what: str) -> _Sealed:
        if self._sealed is None:
            raise self._site.error(f"the {what} is known only when the flow is sealed; call flow.seal()")
        return self._sealed

    def _check_names(self) -> None:
        problem = slug_problem(self.slug)
        if problem is not None:
            raise self._site.error(f"flow slug {self.slug!r} {problem}")
        problem = input_name_problem(self.input_name)
        if problem is not None:
            raise self._site.error(f"input_name {self.input_name!r} {problem}")

    def _checked_version(self, version: object) -> str:
        if version == DEV:
            return DEV
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= VERSION_MAX:
            raise self._site.error(f"version must be an int from 1 to {VERSION_MAX}, or 'dev', not {version!r}")
        return str(version)

    def _parsed(self, options: Mapping[str, object]) -> dict[str, Any]:
        try:
            return parse_options(options, Scope.FLOW, ("version", "input", "input_name"))
        except OptionProblem as problem:
            raise self._site.error(str(problem)) from None

    def _declared_input(self, annotation: object, names: Names) -> Schema:
        if isinstance(annotation, str):
            raise self._site.error(f"input: pass the type itself, not its name {annotation!r}")
        return schema_of(annotation, "input", self._site, names)
