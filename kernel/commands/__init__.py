"""The commands that the kernel accepts: one class each, in the imperative.

A command says all that its decision needs; the time, fresh ids and the stored state are added by `Kernel.dispatch`.
Its type parameter is the type of its result. Whether a command may be repeated is said in its docstring.
"""

from __future__ import annotations

from .base import Command
from .joining import RequestCancel, RequestSignal, StartRunsOn
from .notes import ANNOTATE_BATCH_MAX, AnnotateRuns, Annotation, AnnotationVerdict, WriteNotes
from .outbox import Flushed, FlushOutbox, RemoveSink, ReplayDeadLetters
from .rerun import RerunRun, RestartedRun
from .retention import PRUNE_BATCH, ClaimChore, CollectBlobs, CollectedBlobs, Pruned, PruneRuns
from .runs import (
    REASON_LENGTH_MAX,
    START_BATCH_MAX,
    CancelledRun,
    CancelRun,
    RunRequest,
    RunStart,
    StartRuns,
    require_startable,
)
from .scheduling import (
    DeferCancel,
    Deferral,
    DeferStart,
    Fired,
    FireScheduled,
    PauseSchedule,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    RetryDeferred,
    TriggerSchedule,
    Trouble,
    WithdrawDeferred,
)
from .tasks import (
    SETTLE_BATCH_MAX,
    Capacity,
    ClaimedRuns,
    ClaimRuns,
    ClaimTasks,
    HeartbeatTasks,
    Outcome,
    OutcomeKind,
    ReapTasks,
    RecallTasks,
    Settlement,
    SettleTasks,
    SweepJobs,
    Verdict,
)
from .waiting import (
    RESUME_TOKEN_LIFETIME,
    ExpireRuns,
    MintResumeToken,
    SendSignal,
    SentSignal,
    SignalFate,
    WakeTasks,
)
from .workers import AnnounceWorker

__all__ = [
    "ANNOTATE_BATCH_MAX",
    "PRUNE_BATCH",
    "REASON_LENGTH_MAX",
    "RESUME_TOKEN_LIFETIME",
    "SETTLE_BATCH_MAX",
    "START_BATCH_MAX",
    "AnnotateRuns",
    "Annotation",
    "AnnotationVerdict",
    "AnnounceWorker",
    "CancelRun",
    "CancelledRun",
    "Capacity",
    "ClaimChore",
    "ClaimRuns",
    "ClaimTasks",
    "ClaimedRuns",
    "CollectBlobs",
    "CollectedBlobs",
    "Command",
    "DeferCancel",
    "DeferStart",
    "Deferral",
    "ExpireRuns",
    "FireScheduled",
    "Fired",
    "FlushOutbox",
    "Flushed",
    "HeartbeatTasks",
    "MintResumeToken",
    "Outcome",
    "OutcomeKind",
    "PauseSchedule",
    "PruneRuns",
    "Pruned",
    "PutSchedule",
    "ReapTasks",
    "RecallTasks",
    "RemoveSchedule",
    "RemoveSink",
    "ReplayDeadLetters",
    "RequestCancel",
    "RequestSignal",
    "RerunRun",
    "RestartedRun",
    "ResumeSchedule",
    "RetryDeferred",
    "RunRequest",
    "RunStart",
    "SendSignal",
    "SentSignal",
    "SettleTasks",
    "Settlement",
    "SignalFate",
    "StartRuns",
    "StartRunsOn",
    "SweepJobs",
    "TriggerSchedule",
    "Trouble",
    "Verdict",
    "WakeTasks",
    "WithdrawDeferred",
    "WriteNotes",
    "require_startable",
]
