"""The kernel decides what happens to flows, runs, steps and tasks, and depends on ports alone.

Users find here what they write flows with and what they start and read runs by. Hosts find commands, plans and the
record of a failure in the modules of those names.
"""

from ..ports import CallerConnection, Ports
from ..ports.blobs import BlobCorrupt
from ..ports.callers import InvalidConnection, TransactionFailed
from ..ports.errors import AdapterError, CommitUnknown, CorruptionError, FairleadError, UsageError
from ..ports.notes import AnnotationValue, LogLevel
from ..ports.outbox import DeadLetter, DeadLetterCursor, DeadLetterFilter, DeadLetterPage, EventRecord, SinkRecord
from ..ports.reading import (
    AttemptRecord,
    GenerationRecord,
    RunCursor,
    RunFilter,
    RunPage,
    RunRecord,
    StepRecord,
    TaskRecord,
)
from ..ports.statuses import RunStatus, StepStatus, TaskStatus
from .api.control import RunAnswer
from .api.deferred import Deferred
from .api.schedule import Schedule
from .commands import CancelledRun, CollectedBlobs, Pruned, RestartedRun, SentSignal, SignalFate
from .context import Context
from .definition import Branch, Flow, Resource, Step
from .diagnosing import Diagnosis, Finding, Severity
from .errors import (
    ConnectionsUnsupported,
    DeferredNotFound,
    FlowDefinitionError,
    FlowShapeConflict,
    ForeignFlow,
    IdempotencyConflict,
    InvalidAnnotations,
    InvalidArgument,
    InvalidCron,
    InvalidInput,
    InvalidSignal,
    IsAMap,
    KernelInUse,
    LimitExceeded,
    NotAMap,
    NotASignal,
    NothingToRerun,
    OtherShape,
    OutsideHost,
    PayloadError,
    ResumeTokenExpired,
    ResumeTokenUnknown,
    RunDidNotComplete,
    RunEnded,
    RunNotEnded,
    RunNotFound,
    ScheduleNotFound,
    ScheduleTaken,
    SignalConflict,
    SignalNotAwaited,
    SignalSpent,
    SignalWaiting,
    StatusUnknown,
    UnknownFlow,
    UnknownZone,
    UnsupportedType,
    WaitTimeout,
)
from .explaining import Cause, CauseKind, Explanation
from .failures import Failure, decode_failure
from .kernel import Kernel
from .notes import LogEntry, Progress
from .retry import GiveUp, RetryAfter
from .runs import RunDetails, RunHandle
from .schedules import DeferredRecord, LeftOut, ScheduleRecord, ScheduleStatus
from .starting import Start
from .suspend import Suspend
from .workers import Worker, WorkerState

__all__ = [
    "AdapterError",
    "AnnotationValue",
    "AttemptRecord",
    "BlobCorrupt",
    "Branch",
    "CallerConnection",
    "CancelledRun",
    "Cause",
    "CauseKind",
    "CollectedBlobs",
    "CommitUnknown",
    "ConnectionsUnsupported",
    "Context",
    "CorruptionError",
    "DeadLetter",
    "DeadLetterCursor",
    "DeadLetterFilter",
    "DeadLetterPage",
    "Deferred",
    "DeferredNotFound",
    "DeferredRecord",
    "Diagnosis",
    "EventRecord",
    "Explanation",
    "Failure",
    "FairleadError",
    "Finding",
    "Flow",
    "FlowDefinitionError",
    "FlowShapeConflict",
    "ForeignFlow",
    "GenerationRecord",
    "GiveUp",
    "IdempotencyConflict",
    "InvalidAnnotations",
    "InvalidArgument",
    "InvalidConnection",
    "InvalidCron",
    "InvalidInput",
    "InvalidSignal",
    "IsAMap",
    "Kernel",
    "KernelInUse",
    "LeftOut",
    "LimitExceeded",
    "LogEntry",
    "LogLevel",
    "NotAMap",
    "NotASignal",
    "NothingToRerun",
    "OtherShape",
    "OutsideHost",
    "PayloadError",
    "Ports",
    "Progress",
    "Pruned",
    "Resource",
    "RestartedRun",
    "ResumeTokenExpired",
    "ResumeTokenUnknown",
    "RetryAfter",
    "RunAnswer",
    "RunCursor",
    "RunDetails",
    "RunDidNotComplete",
    "RunEnded",
    "RunFilter",
    "RunHandle",
    "RunNotEnded",
    "RunNotFound",
    "RunPage",
    "RunRecord",
    "RunStatus",
    "Schedule",
    "ScheduleNotFound",
    "ScheduleRecord",
    "ScheduleStatus",
    "ScheduleTaken",
    "SentSignal",
    "Severity",
    "SignalConflict",
    "SignalFate",
    "SignalNotAwaited",
    "SignalSpent",
    "SignalWaiting",
    "SinkRecord",
    "Start",
    "StatusUnknown",
    "Step",
    "StepRecord",
    "StepStatus",
    "Suspend",
    "TaskRecord",
    "TaskStatus",
    "TransactionFailed",
    "UnknownFlow",
    "UnknownZone",
    "UnsupportedType",
    "UsageError",
    "WaitTimeout",
    "Worker",
    "WorkerState",
    "decode_failure",
]
