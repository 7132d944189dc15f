"""How the handlers of a flow are called."""

from __future__ import annotations

from typing import Any

from fairlead.kernel.definition import Binding, Flow


def binding_of(flow: Flow[Any], slug: str | None = None) -> Binding:
    """The binding of a step's handler; of the last step where none is named."""
    step = list(flow.steps.values())[-1] if slug is None else flow.steps[slug]
    assert step.binding is not None
    return step.binding
