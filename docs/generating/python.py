"""The page of what users import."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from fairlead.adapters.memory import CollectingSink, ManualClock, memory_ports
from fairlead.adapters.postgres import migrate, migration_sql, postgres_ports
from fairlead.adapters.postgres.embedded import EmbeddedServer
from fairlead.adapters.s3 import folder_blobs, object_blobs, s3_blobs
from fairlead.adapters.sinks import CallableSink, LoggingSink
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import CallReport, ServerlessHost
from fairlead.hosts.ticks import TickReport
from fairlead.kernel import (
    Branch,
    CancelledRun,
    Context,
    Deferred,
    DeferredRecord,
    Failure,
    Flow,
    GiveUp,
    Kernel,
    LeftOut,
    RetryAfter,
    RunDetails,
    RunHandle,
    Schedule,
    ScheduleRecord,
    Start,
    decode_failure,
)
from fairlead.ports.outbox import DeadLetter, DeadLetterFilter, EventRecord, SinkRecord
from fairlead.ports.reading import AttemptRecord, RunFilter, RunPage, RunRecord, StepRecord, TaskRecord

from .docstrings import markdown
from .page import head, home, signature, text
from .sources import field_texts

_SECTIONS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("Writing flows", (Flow, Branch, Context, RetryAfter, GiveUp)),
    ("Starting and reading", (Kernel, Start, RunHandle, CancelledRun, RunFilter, RunPage, RunDetails)),
    ("Events", (EventRecord, SinkRecord, DeadLetterFilter, DeadLetter, CallableSink, LoggingSink)),
    ("Scheduling", (Schedule, ScheduleRecord, LeftOut, Deferred, DeferredRecord)),
    ("Records", (RunRecord, StepRecord, TaskRecord, AttemptRecord, decode_failure, Failure)),
    ("Ports", (postgres_ports, migrate, migration_sql, memory_ports, ManualClock, CollectingSink, EmbeddedServer)),
    ("Blob stores", (object_blobs, s3_blobs, folder_blobs)),
    ("Hosts", (NodeHost, ServerlessHost, CallReport, TickReport)),
)
_FOR_HOSTS = {
    "dispatch",
    "flow_of",
    "plan_of",
    "flow_ids",
    "on",
    "tell",
    "seal",
    "step_named",
    "merge_config",
    "plan",
    "shape",
}
"""Methods and fields that hosts and the kernel use, and nobody else needs."""


_GIVEN = (Branch, Deferred, RunHandle, Schedule)
"""Classes whose instances users are given and do not make."""


def python_page() -> str:
    """Everything that users call, with its arguments, results and errors."""
    return text([*head("Python", "the docstrings of what users import"), *_INTRODUCTION, *_sections()])


_INTRODUCTION = (
    "What a program imports. Options of flows and steps are [on a page of their own](options.md), as are",
    "[errors](errors.md) and what [a handler may ask for](flows.md).",
    "",
)


def _sections() -> Iterator[str]:
    for title, members in _SECTIONS:
        yield from (f"## {title}", "")
        for each in members:
            yield from _entry(each)


def _entry(each: Any) -> Iterator[str]:
    yield from (f"### {each.__name__}", "", f"`from {home(each)} import {each.__name__}`", "")
    if not inspect.isclass(each):
        yield from (*signature(each, each.__name__), "", *markdown(each), "")
        return
    fields = [name for name in _field_names(each) if not name.startswith("_") and name not in _FOR_HOSTS]
    if not fields and "__init__" in vars(each) and each not in _GIVEN:
        yield from (*signature(vars(each)["__init__"], each.__name__, bound=True), "")
    yield from (*markdown(each), "")
    yield from _fields(each, fields)
    for name, member in _members(each):
        if not name.startswith("_") and name not in _FOR_HOSTS:
            yield from _member(each, name, member)


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    """What a class has, and what it has from others of ours, unless it is told with another class that has it too."""
    bases = [base for base in owner.__mro__[1:] if base.__module__.startswith("fairlead.kernel.")]
    told = next((each for _, members in _SECTIONS for each in members if set(bases) & set(_mro(each))), owner)
    shown = (owner, *bases) if told is owner else (owner,)
    return (item for each in shown for item in vars(each).items())


def _mro(each: Any) -> tuple[type, ...]:
    return each.__mro__ if inspect.isclass(each) else ()


def _field_names(owner: type) -> list[str]:
    fields: Any = getattr(owner, "__struct_fields__", None) or getattr(owner, "_fields", None)
    if fields is not None:
        return list(fields)
    return [each.name for each in getattr(owner, "__attrs_attrs__", ())]


def _fields(owner: type, names: list[str]) -> Iterator[str]:
    if not names:
        return
    texts = field_texts(owner)
    hints: dict[str, Any] = {
        name: kind for each in reversed(owner.__mro__) for name, kind in vars(each).get("__annotations__", {}).items()
    }
    for name in names:
        meaning = f": {texts[name]}" if name in texts else ""
        yield f"- `{name}: {_type(hints[name])}`{meaning}"
    yield ""


def _type(annotation: object) -> str:
    if isinstance(annotation, enum.EnumType):
        return annotation.__name__
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _member(owner: type, name: str, member: Any) -> Iterator[str]:
    title = f"#### {owner.__name__}.{name}"
    if isinstance(member, property):
        yield from (title, "", *markdown(member), "")
    elif isinstance(member, classmethod | staticmethod):
        called: Callable[..., Any] = (
            getattr(owner, name).__func__ if isinstance(member, classmethod) else getattr(owner, name)
        )
        yield from (
            title,
            "",
            *signature(called, name, bound=isinstance(member, classmethod)),
            "",
            *markdown(called),
            "",
        )
    elif inspect.isfunction(member):
        yield from (title, "", *signature(member, name, bound=True), "", *markdown(member), "")
