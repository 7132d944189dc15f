"""The types of a flow as JSON Schema: what other programs need to start its runs and to read its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import FlowDefinitionError, UnsupportedType
from ..schema import Schema
from .step import Step

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schemas(flow: str, version: str, input_schema: Schema, steps: Mapping[str, Step[Any]]) -> dict[str, Any]:
    """Return the schemas of a flow's input and of every step in order of definition; see `Flow.json_schema`.

    Raises:
        FlowDefinitionError: a type cannot be said in JSON Schema.
    """
    return {
        "flow": flow,
        "version": version,
        "input": _document(input_schema, "the input", flow, None),
        "steps": {slug: _of_step(step, flow) for slug, step in steps.items()},
    }


def _of_step(step: Step[Any], flow: str) -> dict[str, Any]:
    output = _document(step.output, "the output", flow, step.slug)
    if step.config is None:
        return {"kind": step.kind.value, "output": output}
    return {"kind": step.kind.value, "output": output, "config": _document(step.config, "the config", flow, step.slug)}


def _document(schema: Schema, what: str, flow: str, step: str | None) -> dict[str, Any]:
    try:
        return {"$schema": DIALECT, **schema.json_schema}
    except UnsupportedType as error:
        raise FlowDefinitionError(f"{what}: {error}", flow=flow, step=step) from error
