"""What a flow is: its language, and everything that is known of it before any run.

A flow is written down with the decorators of `Flow` and its branches, which are those of a `Group`; both write into one
`draft`. Each decorated function passes, at once, through `handler` (its signature and annotations), `options`,
`conditions`, `sources`, `site` and `steps` (what it refers to), `parameters` (what each parameter receives) and
`returns` (what it gives, and what it keeps where it may suspend), and comes out as a `Step`. Signals and sleeps, which
have no handler, pass through `waiting`; the check of a step through `checking`. Then `checks` compares it with what
stands before it: whether the types along the edges fit, whether its patterns can ever be met (`matching`), and whether
it is ready for dependencies that were skipped (`absence`, by what `assumptions` conclude). Whatever is wrong is a
`FlowDefinitionError` at that line. A kernel seals the flow, which checks what needs all of it and compiles it: the
`plan` for the decisions, the `shape` with its fingerprint for registration, and for hosts each step's `binding`.

Nothing here does I/O, and nothing is global: a flow is an ordinary object, and functions are returned as they came.
"""

from .binding import CONFIG, ITEM, STATE, Binding, PayloadParameter
from .config import join_config, split_config
from .differences import differences
from .flow import Flow
from .group import Branch, Group, Patterns, StepName
from .options import (
    OPTIONS,
    WAITING,
    FlowOptions,
    MapOptions,
    Option,
    Policy,
    Scope,
    SignalOptions,
    SleepOptions,
    StepOptions,
)
from .resource import Resource
from .shape import Shape
from .step import Step
from .suspension import Check

__all__ = [
    "CONFIG",
    "ITEM",
    "OPTIONS",
    "STATE",
    "WAITING",
    "Binding",
    "Branch",
    "Check",
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
    "SignalOptions",
    "SleepOptions",
    "Step",
    "StepName",
    "StepOptions",
    "differences",
    "join_config",
    "split_config",
]
