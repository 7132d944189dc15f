"""Turns the function below `@flow.check(…)` into the check of a step."""

from __future__ import annotations

import typing
from typing import Any

from attrs import evolve

from ..plan import StepKind
from ..schema import Schema
from ..schema_types import type_name
from ..suspend import is_suspend
from .binding import CONFIG, STATE
from .checks import is_untyped
from .define import read_output, read_signature
from .handler import Handler, Signature, Unannotated, name_of
from .parameters import bind, schema_of
from .returns import read_returns
from .site import Site
from .step import Step
from .suspension import Check, Suspension


def define_check(step: Step[Any], function: object, site: Site) -> tuple[Check, Schema]:
    """Read the check of a step. Whether its parameters fit what they receive is for `checks` to say.

    Args:
        step: the step that may suspend.
        function: whatever was decorated.
        site: the flow, and the step.

    Returns:
        The check, and the type of what the step keeps for it.

    Raises:
        FlowDefinitionError: the first thing that is wrong with it.
    """
    suspension = _suspension(step, site)
    handler: Handler = function  # type: ignore[assignment]  # Read before it is called.
    name = name_of(handler) or f"check of {step.slug}"
    site = evolve(site, check=name)
    signature = read_signature(function, step.slug, site)
    _refuse_suspension(signature, site)
    binding = bind(handler, signature, site, checked=step)
    returns = read_returns(signature.returns, site)
    stream, output = read_output(returns, signature, site)
    _check_output(step, output, site)
    state = suspension.state
    kept = binding.payload(STATE)
    if is_untyped(state) and kept is not None:
        state = kept.schema
    if returns.state is not Unannotated:
        _check_state(schema_of(returns.state, "the state in the return value", site, signature.names), state, site)
    settings, own = binding.payload(CONFIG), step.config
    if settings is not None and own is not None and settings.schema.normal != own.normal:
        raise site.error(
            f"parameter 'config' is {settings.written}, but the step's own settings are {own.name}; they are the same, "
            "so annotate them alike"
        )
    return Check(name=name, binding=binding, streamed=None if stream is None else output.element()), state


def _suspension(step: Step[Any], site: Site) -> Suspension:
    if step.kind is StepKind.MAP:
        raise site.error("check: a map has no check, since its tasks cannot suspend; let a step suspend")
    if step.binding is None:
        raise site.error(f"check: a {step.kind} has no check, since it has no handler that could suspend")
    if step.suspension is None:
        raise site.error(
            f"check: its handler never suspends; let it say so, as in {step.output.name} | Suspend[…], "
            "or leave the check out"
        )
    if step.suspension.check is not None:
        raise site.error(f"check: there is one already, {step.suspension.check.name!r}; a step has one check")
    return step.suspension


def _refuse_suspension(signature: Signature, site: Site) -> None:
    """Refuse a check that takes for its state what carried it."""
    for parameter in signature.parameters:
        if parameter.name == STATE and is_suspend(parameter.annotation):
            held = ", ".join(map(type_name, typing.get_args(parameter.annotation))) or "its type"
            raise site.error(
                f"parameter 'state' is {type_name(parameter.annotation)}, but receives what stands in it: write {held}"
            )


def _check_output(step: Step[Any], output: Schema, site: Site) -> None:
    """Refuse a check whose output never fits the step's, or may be None where the step's is not."""
    if is_untyped(output):
        return
    reason = step.output.misfit(output)
    if reason is not None:
        raise site.error(f"the return value is {output.name}, but the step gives {step.output.name}: {reason}")
    if output.admits_none and not step.output.admits_none:
        raise site.error(
            f"the return value may be None, but the step gives {step.output.name}; return Suspend(…) while there is "
            "nothing yet, or let the step give None too"
        )


def _check_state(given: Schema, kept: Schema, site: Site) -> None:
    """Refuse a check that suspends with what the step never keeps."""
    reason = kept.misfit(given)
    if reason is not None:
        raise site.error(f"it suspends with {given.name}, but the step keeps {kept.name}: {reason}")
