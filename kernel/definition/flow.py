"""`Flow`: what users write flows with, and what kernels and hosts read them by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, TypeVar, Unpack, overload

from ..errors import FlowDefinitionError
from ..hints import nearest
from ..plan import INPUT, Plan, ValuePath
from ..schema import Schema
from ..shown import shown
from .config import merge_config
from .draft import Draft
from .export import json_schemas
from .group import Group, StepName
from .handler import Names, names_in_sight
from .names import input_name_problem, slug_problem
from .options import FlowOptions, OptionProblem, Scope, parse_options
from .parameters import schema_of
from .shape import Shape
from .site import Site
from .step import Step
from .steps import Steps
from .waiting import NotGiven

T = TypeVar("T")

DEV: Final = "dev"
"""The version that replaces its shape while no run is in flight."""
VERSION_MAX: Final = 2**31 - 1
"""The largest integer that every store holds."""


_ABSENT: Final = NotGiven()


class Flow(Group, Generic[T]):
    """A flow: steps and what passes between them, known in full before any run.

    Args:
        slug: the flow's name, 1 to 128 letters, digits and underscores.
        version: an int from 1; a changed shape needs a new one. `"dev"` replaces its shape when no run is in flight.
        input: the type of a run's input; without it the type is taken from the steps' annotations.
        input_name: the name by which handlers and `over=` see the input.
        options: for all steps, each of which may override them; and `run_timeout` and `retention`, which are for runs.

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
        site = Site(flow=slug, input_name=input_name, earlier=Steps())
        _check_names(site)
        self._version = _checked_version(version, site)
        parsed = _parsed(options, site)
        declared = None if isinstance(input, NotGiven) else _declared_input(input, site, names_in_sight())
        self._draft = Draft(site, self._version, parsed, declared)
        self._branches = ()

    @property
    def slug(self) -> str:
        """The flow's name."""
        return self._draft.site.flow

    @property
    def version(self) -> str:
        """The flow's version as text."""
        return self._version

    @property
    def input_name(self) -> str:
        """The name by which handlers and `over=` see the input."""
        return self._draft.site.input_name

    @property
    def input_schema(self) -> Schema:
        """The type of a run's input: of `input=`, else of the annotations so far, else `ANY`."""
        return self._draft.input_schema

    @property
    def steps(self) -> Mapping[str, Step[Any]]:
        """The steps by slug, in order of definition."""
        return MappingProxyType(self._draft.steps)

    @property
    def plan(self) -> Plan:
        """What the decisions know of the sealed flow."""
        return self._draft.compiled("plan").plan

    @property
    def shape(self) -> Shape:
        """The sealed flow's structure and types, and their fingerprint."""
        return self._draft.compiled("shape").shape

    def __repr__(self) -> str:
        return f"Flow({self.slug!r}, version={self.version}, steps={list(self._draft.steps)})"

    def seal(self) -> None:
        """Close the flow: check what needs all of it, and compile it. A kernel does this; a second time does nothing.

        Raises:
            FlowDefinitionError: the flow has no steps, or what asks for the input does not fit the input's type.
        """
        self._draft.seal()

    def step_named(self, name: StepName, place: str = "step") -> Step[Any]:
        """Return the step that a function, a slug or a `Step` stands for.

        Args:
            name: the step; a function that is several steps must be named by slug.
            place: what the name was passed as, for the message.

        Raises:
            FlowDefinitionError: there is no such step, or there are several.
        """
        if isinstance(name, str) and name not in (*self.steps, self.input_name, INPUT):
            message = f"{place}: there is no step {shown(name)}; {nearest(name, self.steps)}"
            raise FlowDefinitionError(message, flow=self.slug, missing=name)
        return self._draft.site.find(name, place)

    def arrays_read_in_parts(self, name: str) -> tuple[ValuePath, ...]:
        """Return the arrays in a value of the sealed flow of which maps read elements, or handlers element by element.

        Args:
            name: whose value: `INPUT`, or the slug of a step; for a map, what one of its tasks returns.
        """
        arrays, itself = self.plan.questions[name].arrays, ValuePath(name=name)
        if self.plan.is_map(name) or itself in arrays:
            return arrays
        return (*arrays, itself) if name in self._draft.compiled("plan").streamed else arrays

    def json_schema(self) -> dict[str, Any]:
        """Return the types of the flow as JSON Schema (draft 2020-12), for other programs and for people.

        Returns:
            `{"flow": slug, "version": text, "input": schema, "steps": {slug: {"kind": text, "output": schema, "config":
            schema}}}`. The output of a map is that of one element, the output of a signal what it carries; `config` is
            there where the step takes settings. Each schema stands alone, with all that it refers to.

        Raises:
            FlowDefinitionError: a type cannot be said in JSON Schema.
        """
        return json_schemas(self.slug, self.version, self.input_schema, self.steps)

    def merge_config(self, given: Mapping[str, object] | None = None) -> dict[str, bytes]:
        """Return the complete settings of every step that takes some, as canonical JSON by slug.

        Args:
            given: settings by step slug, each a mapping of fields or an instance of the step's class.

        Raises:
            PayloadError: with every problem and its path.
        """
        return merge_config(self.slug, self._draft.steps, given)


def _check_names(site: Site) -> None:
    problem = slug_problem(site.flow)
    if problem is not None:
        raise site.error(f"flow slug {shown(site.flow)} {problem}")
    problem = input_name_problem(site.input_name)
    if problem is not None:
        raise site.error(f"input_name {shown(site.input_name)} {problem}")


def _checked_version(version: object, site: Site) -> str:
    if version == DEV:
        return DEV
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= VERSION_MAX:
        raise site.error(f"version must be an int from 1 to {VERSION_MAX}, or 'dev', not {shown(version)}")
    return str(version)


def _parsed(options: Mapping[str, object], site: Site) -> dict[str, Any]:
    try:
        return parse_options(options, Scope.FLOW, ("version", "input", "input_name"))
    except OptionProblem as problem:
        raise site.error(str(problem)) from None


def _declared_input(annotation: object, site: Site, names: Names) -> Schema:
    if isinstance(annotation, str):
        raise site.error(f"input: pass the type itself, not its name {annotation!r}")
    return schema_of(annotation, "input", site, names)
