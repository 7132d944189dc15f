"""The shape of a flow: what a run in flight relies on, as plain data with a fingerprint.

In it are the steps, their dependencies, what maps work over and whether they tolerate failures, until which times in
their data sleeps last, whether steps may suspend, under which conditions steps run and what follows where they do not,
and the types of the input, of outputs, of signals, of settings and of what suspended steps keep; and the type of a
parameter where it is another than that of what it receives. Not in it is what may change under a running run: code,
names of parameters, resources, how long things may take, the order in which independent steps, patterns and branches
are written, and all other options.
Types stand in it in the normal form of `schema_normal`, so that it is the same in every process and Python version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
from attrs import frozen

from .. import codec
from ..plan import INPUT, Condition, Consequence, Pattern
from ..schema import Schema
from .binding import CONFIG, ITEM, STATE, Binding
from .checks import is_untyped
from .site import Site
from .sources import element_of
from .step import Step
from .suspension import Check

FORMAT = 1
"""Increased when the same flow would get another document, which makes every fingerprint a new one."""


class ConditionShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition: patterns by the canonical name of what they are about."""

    when: dict[str, Any] = {}
    unless: dict[str, Any] = {}
    negated: bool = False


class CheckShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That a step may suspend."""

    state: Any
    """Normal form of what it keeps meanwhile."""
    reads: dict[str, Any] | None = None
    """As those of a step, for what its check reads."""


class StepShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step. A struct, since absent fields must not be written: new kinds of fields change no old fingerprint."""

    kind: str
    dependencies: tuple[str, ...] = ()
    """Sorted."""
    over: str | None = None
    """A map's source as a dotted path; the input is called `input` in it."""
    output: Any
    """Normal form of what one call of the handler returns."""
    config: Any = None
    """Normal form of the settings' class."""
    reads: dict[str, Any] | None = None
    """Normal forms of parameters that declare another type than what they receive has, by source."""
    condition: ConditionShape | None = None
    """The step's own."""
    branches: tuple[ConditionShape, ...] = ()
    """Sorted, since all of them must be met whatever their order."""
    requires: tuple[str, ...] = ()
    """Sorted."""
    on_unmet: str = Consequence.SKIP.value
    on_exhausted: str = Consequence.FAIL.value
    tolerant: bool = False
    """Whether a map tolerates failures. How many may change."""
    until: str | None = None
    """The time at which a sleep ends, as `over` is written."""
    on_timeout: str = Consequence.FAIL.value
    check: CheckShape | None = None


class ShapeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A whole flow."""

    format: int
    input: Any
    """Normal form of the input's type."""
    steps: dict[str, StepShape]
    order: tuple[str, ...] = ()
    """The slugs in order of definition, for people who look at runs. It is not part of the fingerprint."""


class _Ordered(msgspec.Struct, frozen=True):
    order: tuple[str, ...] = ()


@frozen
class Shape:
    """A flow's shape as it is registered."""

    document: bytes
    """A `ShapeDocument` as canonical JSON."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the document without its order, in hexadecimal."""
        document = msgspec.json.decode(self.document, type=dict[str, object])
        relied_on = {name: value for name, value in document.items() if name != "order"}
        return hashlib.sha256(codec.encode(relied_on)).hexdigest()

    @property
    def order(self) -> tuple[str, ...]:
        """The slugs in order of definition; of all the document the one thing that is looked at."""
        return msgspec.json.decode(self.document, type=_Ordered).order

    @cached_property
    def parsed(self) -> ShapeDocument:
        """The document as records."""
        return msgspec.json.decode(self.document, type=ShapeDocument)


def shape_of(input_schema: Schema, steps: Mapping[str, Step[Any]], site: Site) -> Shape:
    """Return the shape of a flow whose types have been checked.

    Args:
        input_schema: the type of a run's input.
        steps: all steps by slug.
        site: the flow.
    """
    produced = {INPUT: input_schema, **{slug: step.produced for slug, step in steps.items()}}
    shapes = {slug: _step_shape(step, produced, site) for slug, step in steps.items()}
    document = ShapeDocument(format=FORMAT, input=input_schema.normal, steps=shapes, order=tuple(shapes))
    return Shape(codec.encode(document))


def _step_shape(step: Step[Any], produced: Mapping[str, Schema], site: Site) -> StepShape:
    received = dict(produced)
    if step.source is not None:
        received[ITEM] = element_of(step.source, produced, site)
    return StepShape(
        kind=str(step.kind),
        dependencies=tuple(sorted(step.dependencies)),
        over=None if step.source is None else step.source.dotted,
        output=step.output.normal,
        config=None if step.config is None else step.config.normal,
        reads=None if step.binding is None else _reads(step.binding, received),
        condition=None if step.condition is None else _condition_shape(step.condition),
        branches=_branch_shapes(step.branches),
        requires=tuple(sorted(step.requires)),
        on_unmet=step.policy.on_unmet.value,
        on_exhausted=step.policy.on_exhausted.value,
        tolerant=step.policy.tolerate_failures != 0,
        until=None if step.until is None else step.until.dotted,
        on_timeout=step.policy.on_timeout.value,
        check=None if step.check is None else _check_shape(step, step.check, received),
    )


def _check_shape(step: Step[Any], check: Check, received: Mapping[str, Schema]) -> CheckShape:
    state = step.state_schema
    return CheckShape(state=state.normal, reads=_reads(check.binding, {**received, STATE: state}))


def _condition_shape(condition: Condition) -> ConditionShape:
    when, unless = _by_name(condition.when), _by_name(condition.unless)
    return ConditionShape(when=when, unless=unless, negated=condition.negated)


def _by_name(patterns: tuple[Pattern, ...]) -> dict[str, Any]:
    return {pattern.name: codec.decode(pattern.document) for pattern in patterns}


def _branch_shapes(branches: tuple[Condition, ...]) -> tuple[ConditionShape, ...]:
    shapes = {codec.encode(shape): shape for shape in map(_condition_shape, branches)}
    return tuple(shapes[text] for text in sorted(shapes))


def _reads(binding: Binding, received: Mapping[str, Schema]) -> dict[str, Any] | None:
    reads: dict[str, Any] = {}
    for parameter in binding.payloads:
        if parameter.source == CONFIG or is_untyped(parameter.schema):
            continue
        if parameter.schema.normal != received[parameter.source].normal:
            reads[parameter.source] = parameter.schema.normal
    return reads or None
