"""The page of what users import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, is_typeddict

from fairlead.adapters.memory import CollectingSink, ManualClock, MemoryTransport, SequentialIds, memory_ports
from fairlead.adapters.postgres import migrate, migration_sql, postgres_ports
from fairlead.adapters.postgres.embedded import (
    EmbeddedServer,
    resolve_database_url,
    server_status,
    server_url,
    start_server,
    stop_server,
)
from fairlead.adapters.s3 import folder_blobs, object_blobs, s3_blobs
from fairlead.adapters.sinks import CallableSink, LoggingSink
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.hosts.simulation import (
    Entry,
    Execution,
    Faults,
    Invariant,
    NotCompared,
    Opaque,
    Outcome,
    Report,
    SimulationFailed,
    SimulationUnfit,
    simulate,
)
from fairlead.hosts.testing import AttemptView, Blocking, FlowTest, LeftBehind, RunView, StepView, TaskView, in_turn
from fairlead.kernel import (
    AttemptRecord,
    Branch,
    CancelledRun,
    CollectedBlobs,
    Context,
    DeadLetter,
    DeadLetterFilter,
    Deferred,
    DeferredRecord,
    Diagnosis,
    EventRecord,
    Explanation,
    Flow,
    GiveUp,
    Kernel,
    LogEntry,
    Ports,
    Progress,
    Pruned,
    Resource,
    RestartedRun,
    RetryAfter,
    RunAnswer,
    RunDetails,
    RunFilter,
    RunHandle,
    RunPage,
    RunRecord,
    Schedule,
    ScheduleRecord,
    SentSignal,
    SinkRecord,
    Start,
    Step,
    StepRecord,
    Suspend,
    TaskRecord,
    Worker,
    decode_failure,
)
from fairlead.kernel.events import PublishedEvent

from .entries import entry, named_by
from .named import Alias, alias_of
from .page import head, text
from .ports import PORTS

_SECTIONS: Mapping[str, tuple[Any, ...]] = {
    "Writing flows": (Flow, Branch, Step, Context, alias_of(Resource), Suspend, RetryAfter, GiveUp),
    "Starting and reading": (Kernel, Start, RunHandle, RunFilter, RunPage),
    "Records": (RunDetails, RunRecord, StepRecord, TaskRecord, AttemptRecord, decode_failure, LogEntry, Progress),
    "Steering runs": (SentSignal, CancelledRun, RestartedRun, RunAnswer),
    "Events": (
        EventRecord,
        alias_of(PublishedEvent),
        SinkRecord,
        DeadLetter,
        DeadLetterFilter,
        CallableSink,
        LoggingSink,
    ),
    "Scheduling": (Schedule, ScheduleRecord, Deferred, DeferredRecord),
    "Looking after it": (Explanation, Diagnosis, Worker, Pruned, CollectedBlobs),
    "Ports": (Ports, postgres_ports, migrate, migration_sql),
    "In memory": (memory_ports, ManualClock, CollectingSink, MemoryTransport, SequentialIds),
    "An embedded PostgreSQL": (
        EmbeddedServer,
        start_server,
        stop_server,
        server_status,
        server_url,
        resolve_database_url,
    ),
    "Blob stores": (object_blobs, s3_blobs, folder_blobs),
    "Hosts": (NodeHost, ServerlessHost),
    "Testing": (FlowTest, in_turn, RunView, StepView, TaskView, AttemptView, LeftBehind, Blocking),
    "Simulating": (
        simulate,
        Faults,
        Outcome,
        Execution,
        Entry,
        alias_of(Invariant),
        Report,
        SimulationFailed,
        SimulationUnfit,
        Opaque,
        NotCompared,
    ),
}
"""What users begin with. What the annotations of these name, and of those in turn, follows in the same section."""


def python_page() -> str:
    """Everything that users call, with its arguments, results and errors."""
    return text([*head("Python", "the docstrings of what users import"), *_INTRODUCTION, *_lines()])


_INTRODUCTION = (
    "What a program imports, and all that its signatures name. Options of flows and steps are",
    "[on a page of their own](options.md), as are [errors](errors.md), [ports](ports.md) and what",
    "[a handler may ask for](flows.md).",
    "",
)


def _lines() -> Iterator[str]:
    sections = _complete_sections()
    told = [each for members in sections.values() for each in members]
    for title, members in sections.items():
        yield from (f"## {title}", "")
        for each in members:
            yield from entry(each, told=told)


def _complete_sections() -> Mapping[str, list[Any]]:
    """Each section with what is named in it for the first time, after what names it."""
    told = [each for members in _SECTIONS.values() for each in members]
    sections = {title: list(members) for title, members in _SECTIONS.items()}
    for members in sections.values():
        for each in members:  # grows meanwhile
            for named in named_by(each, told=told):
                if named not in told and not _is_told_elsewhere(named):
                    members.append(named)
                    told.append(named)
    return sections


def _is_told_elsewhere(named: type | Alias) -> bool:
    """Whether another page has it: ports, errors, and the options of flows and steps."""
    if isinstance(named, Alias):
        return False
    return named in PORTS or is_typeddict(named) or issubclass(named, BaseException)
