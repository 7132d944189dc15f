"""A flow as people and programs read it: its input, its steps, and what each of them does when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from ...kernel import Flow, Step
from ...kernel.definition import CONFIG, ITEM, STATE, Scope
from ...kernel.definition.options import table
from ...kernel.plan import INPUT, Condition, Pattern, StepKind, StepPlan
from ...kernel.schema import Schema
from ...kernel.schema_types import annotation_of, object_fields, type_name
from ..drawing.words import condition_words, place_words, policy_words, sleep_words, source_words

_SAID: Final = ("on_unmet", "on_exhausted", "tolerate_failures")
"""Options that are said among the policies."""
_SAID_OF_SIGNALS: Final = (*_SAID, "timeout", "on_timeout")


def flow_json(flow: Flow[Any]) -> dict[str, object]:
    """A flow in short."""
    return {
        "flow": flow.slug,
        "version": flow.version,
        "steps": len(flow.steps),
        "fingerprint": flow.shape.fingerprint,
    }


def flow_details_json(flow: Flow[Any]) -> dict[str, object]:
    """A flow in full. The keys are promised; new ones may be added."""
    return {
        "flow": flow.slug,
        "version": flow.version,
        "fingerprint": flow.shape.fingerprint,
        "run_timeout": flow.plan.run_timeout_s,
        "retention": flow.plan.retention_s,
        "input": {
            "name": flow.input_name,
            "type": flow.input_schema.name,
            "fields": [
                {"name": name, "type": kind, "required": required}
                for name, kind, required in input_fields(flow.input_schema)
            ],
        },
        "steps": [_step_json(flow, flow.steps[slug], plan) for slug, plan in flow.plan.steps.items()],
    }


def _step_json(flow: Flow[Any], step: Step[Any], plan: StepPlan) -> dict[str, object]:
    return {
        "step": step.slug,
        "kind": plan.kind,
        "over": source_words(plan, flow.input_name),
        "lasts": plan.wait_s if step.kind is StepKind.SLEEP else None,
        "until": None if plan.until is None else place_words(plan.until, flow.input_name),
        "dependencies": plan.dependencies,
        "reads": list(reads(flow, step)),
        "output": step.output.name,
        "state": step.state_schema.name if step.suspends else None,
        "check": None if step.check is None else step.check.name,
        "config": None if step.config is None else step.config.name,
        "resources": resources(step),
        "branches": [_condition_json(each, flow.input_name) for each in plan.branches],
        "condition": None if plan.condition is None else _condition_json(plan.condition, flow.input_name),
        "requires": plan.requires,
        "options": options(step),
    }


def _condition_json(condition: Condition, input_name: str) -> dict[str, object]:
    return {
        "words": condition_words(condition, input_name),
        "when": _patterns_json(condition.when),
        "unless": _patterns_json(condition.unless),
        "negated": condition.negated,
    }


def _patterns_json(patterns: tuple[Pattern, ...]) -> dict[str, object]:
    return {pattern.name: msgspec.json.decode(pattern.document) for pattern in patterns}


def input_fields(schema: Schema) -> Iterator[tuple[str, str, bool]]:
    """Name, type and necessity of each field of an input that has fields."""
    for field in object_fields(schema.node) or ():
        yield field.encode_name, type_name(annotation_of(field.type)), field.required


def reads(flow: Flow[Any], step: Step[Any]) -> Iterator[str]:
    """Whose values a step's handler and check receive, by the names under which they know them."""
    payloads = (payload for binding in step.bindings for payload in binding.payloads)
    for source in dict.fromkeys(payload.source for payload in payloads):
        if source not in (CONFIG, ITEM, STATE):
            yield flow.input_name if source == INPUT else source


def resources(step: Step[Any]) -> list[str]:
    """The names of what a step asks its host for."""
    return list(dict.fromkeys(name for binding in step.bindings for name in binding.resources))


def options(step: Step[Any]) -> dict[str, object]:
    """The options of a step that are not the default, as JSON can carry them. Durations are seconds."""
    known = table(Scope(step.kind.value))
    chosen = {name: getattr(step.policy, option.attribute) for name, option in known.items()}
    return {name: _plain(value) for name, value in chosen.items() if value != known[name].default}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [each.__qualname__ if isinstance(each, type) else each for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value.total_seconds() if isinstance(value, timedelta) else value


def step_lines(flow: Flow[Any], step: Step[Any]) -> Iterator[tuple[str, str]]:
    """What there is to say about a step: labels, and words."""
    plan = flow.plan.steps[step.slug]
    source, lasts = source_words(plan, flow.input_name), sleep_words(plan, flow.input_name)
    read = list(reads(flow, step))
    if source is not None:
        yield "each of", source
    if lasts is not None:
        yield "sleeps", lasts
    yield from (("in branch", condition_words(branch, flow.input_name)) for branch in plan.branches)
    if plan.condition is not None:
        yield "runs", condition_words(plan.condition, flow.input_name)
    if read:
        yield "reads", ", ".join(read)
    waits = [slug for slug in plan.dependencies if slug not in read]
    if waits:
        yield "after", ", ".join(waits)
    if step.output.annotation is not Any and step.kind is not StepKind.SLEEP:
        yield "gives", step.output.name
    if step.check is not None:
        yield "suspends", f"keeps {step.state_schema.name} for {step.check.name}"
    if step.config is not None:
        yield "config", f"{step.config.name} ({_field_names(step.config)})"
    if resources(step):
        yield "resources", ", ".join(resources(step))
    policies = list(policy_words(plan))
    if policies:
        yield "policies", "; ".join(policies)
    said = _SAID_OF_SIGNALS if step.kind is StepKind.SIGNAL else _SAID
    set_options = _shown_options({name: value for name, value in options(step).items() if name not in said})
    if set_options:
        yield "options", set_options


def _field_names(schema: Schema) -> str:
    return ", ".join(name if required else f"{name}?" for name, _, required in input_fields(schema))


def _shown_options(chosen: Mapping[str, object]) -> str:
    """Options as they are written in code."""
    return ", ".join(f"{name}={_shown(value)}" for name, value in chosen.items())


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(str, value))})"  # pyright: ignore[reportUnknownArgumentType]
    return f"{value:g}" if isinstance(value, float) else repr(value)
