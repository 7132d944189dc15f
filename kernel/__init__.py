"""The kernel decides what happens to flows, runs, steps and tasks, and depends on ports alone.

Users find here what they write flows with and what they start and read runs by. Hosts find commands, plans and the
record of a failure in the modules of those names.
"""

from ..ports import Ports
from ..ports.errors import AdapterError, CorruptionError, FairleadError, UsageError
from ..ports.reading import RunCursor, RunFilter
from ..ports.statuses import RunStatus, StepStatus, TaskStatus
from .commands import CancelledRun
from .context import Context
from .definition import Branch, Flow, Resource, Step
from .errors import (
    FlowDefinitionError,
    FlowShapeConflict,
    ForeignFlow,
    IdempotencyConflict,
    InvalidArgument,
    InvalidInput,
    IsAMap,
    LimitExceeded,
    NotAMap,
    OtherShape,
    PayloadError,
    RunDidNotComplete,
    RunNotFound,
    StatusUnknown,
    UnknownFlow,
    UnsupportedType,
    WaitTimeout,
)
from .failures import Failure, decode_failure
from .kernel import Kernel
from .retry import GiveUp, RetryAfter
from .runs import RunDetails, RunHandle
from .starting import Start

__all__ = [
    "AdapterError",
    "Branch",
    "CancelledRun",
    "Context",
    "CorruptionError",
    "Failure",
    "FairleadError",
    "Flow",
    "FlowDefinitionError",
    "FlowShapeConflict",
    "ForeignFlow",
    "GiveUp",
    "IdempotencyConflict",
    "InvalidArgument",
    "InvalidInput",
    "IsAMap",
    "Kernel",
    "LimitExceeded",
    "NotAMap",
    "OtherShape",
    "PayloadError",
    "Ports",
    "Resource",
    "RetryAfter",
    "RunCursor",
    "RunDetails",
    "RunDidNotComplete",
    "RunFilter",
    "RunHandle",
    "RunNotFound",
    "RunStatus",
    "Start",
    "StatusUnknown",
    "Step",
    "StepStatus",
    "TaskStatus",
    "UnknownFlow",
    "UnsupportedType",
    "UsageError",
    "WaitTimeout",
    "decode_failure",
]
