"""What a flow is: its language, and everything that is known of it before any run.

A flow is written down with the decorators of `Flow` and its branches, which are those of a `Group`; both write into one
`draft`. Each decorated function passes, at once, through `handler` (its signature and annotations), `options`,
`conditions`, `sources`, `site` and `steps` (what it refers to) and `parameters` (what each parameter receives), and
comes out as a `Step`. Then `checks` compares it with what stands before it: whether the types along the edges fit,
whether its patterns can ever be met (`matching`), and whether it is ready for dependencies that were skipped
(`absence`, by what `assumptions` conclude). Whatever is wrong is a `FlowDefinitionError` at that line. A kernel seals
the flow, which checks what needs all of it and compiles it: the `plan` for the decisions, the `shape` with its
fingerprint for registration, and for hosts each step's `binding`.

Nothing here does I/O, and nothing is global: a flow is an ordinary object, and functions are returned as they came.
"""

from .binding import CONFIG, ITEM, Binding, PayloadParameter
from .config import join_config, split_config
from .differences import differences
from .flow import Flow
from .group import Branch, Group, Patterns, StepName
from .options import OPTIONS, FlowOptions, MapOptions, Option, Policy, Scope, StepOptions
from .resource import Resource
from .shape import Shape
from .step import Step

__all__ = [
    "CONFIG",
    "ITEM",
    "OPTIONS",
    "Binding",
    "Branch",
    "Flow",
    "FlowOptions",
    "Group",
    "MapOptions",
    "Option",
    "Patterns",
    "PayloadParameter",
    "Policy",
    "Resource",
    "Scope",
    "Shape",
    "Step",
    "StepName",
    "StepOptions",
    "differences",
    "join_config",
    "split_config",
]
