"""The page of ports: what an adapter has to do, in the words of the Protocols."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from fairlead.ports.blobs import BlobStore
from fairlead.ports.callers import CallerConnections
from fairlead.ports.clock import Clock
from fairlead.ports.notes import Notes
from fairlead.ports.outbox import Outbox
from fairlead.ports.persistence import Persistence, Transaction
from fairlead.ports.scheduler import Scheduler
from fairlead.ports.sink import Caller, EventSink
from fairlead.ports.transport import JobTransport
from fairlead.ports.workers import Workers

from .docstrings import markdown
from .page import head, signature, text

PORTS: tuple[type, ...] = (
    Persistence,
    Transaction,
    Outbox,
    Notes,
    Workers,
    JobTransport,
    BlobStore,
    EventSink,
    Caller,
    Scheduler,
    CallerConnections,
    Clock,
)


def ports_page() -> str:
    """Every port with its methods."""
    return text(
        [*head("Ports", "the Protocols of ports/"), *_INTRODUCTION, *(line for each in PORTS for line in _port(each))]
    )


_INTRODUCTION = (
    "What the kernel needs from the world, it asks of ports. An adapter implements them in a technology; users write",
    "one where they have a sink of their own for [events](events.md), and rarely another. The records that pass",
    "through are in the modules named below. `tests/contract` holds a suite for each port, which every adapter passes.",
    "",
)


def _port(port: type) -> Iterator[str]:
    yield from (f"## {port.__name__}", "", f"`from {port.__module__} import {port.__name__}`", "")
    essay = inspect.getmodule(port)
    if next(iter(_members(essay, port)), None) is port:
        yield from markdown(essay)
        yield ""
    yield from markdown(port)
    yield ""
    for name, member in vars(port).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield from (f"### {name}", "", *markdown(member), "")
        elif inspect.isfunction(member):
            yield from (f"### {name}", "", *signature(member, name, bound=True), "", *markdown(member), "")


def _members(module: Any, port: type) -> Iterator[type]:
    """The ports that a module defines; its docstring is told with the first."""
    return (
        each for each in PORTS if getattr(module, each.__name__, None) is each and each.__module__ == port.__module__
    )
