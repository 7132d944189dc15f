"""Whether flows are right: every definition error with its place, and how shapes differ from a database's."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import frozen

from ...kernel import Flow
from ...kernel.definition import Shape, differences
from ...kernel.definition.noting import NotedError, noting_errors
from ...kernel.errors import FlowDefinitionError
from ...ports.errors import FairleadError
from ...ports.persistence import Persistence
from .flow_sources import kernel_flows
from .loading import find_target

OURS = tuple(Path(__file__).resolve().parents[2] / name for name in ("kernel", "ports", "adapters", "hosts"))
"""The four packages, whose frames say nothing about where a flow is wrong."""


@frozen(kw_only=True)
class Problem:
    """Something that is wrong with a flow, or with what should hold it."""

    target: str
    message: str
    file: str | None = None
    """Relative to the current folder where it is below it."""
    line: int | None = None

    def __str__(self) -> str:
        place = self.target if self.file is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


@frozen(kw_only=True)
class Checked:
    """What came of checking one MODULE:NAME."""

    flows: Sequence[Flow[Any]]
    problems: Sequence[Problem]


def check_target(target: str) -> Checked:
    """Import and seal the flows that a MODULE:NAME names, and find all that is wrong with their definitions."""
    with noting_errors() as noted:
        try:
            flows = kernel_flows(target, find_target(target))
            raised = None
        except FairleadError as error:
            flows, raised = (), error
    problems = [_noted_problem(target, each) for each in _causes(noted)]
    if raised is not None and not (noted and isinstance(raised, FlowDefinitionError) and _follows(raised, noted)):
        problems.append(_raised_problem(target, raised))
    return Checked(flows=() if problems else flows, problems=problems)


async def shape_problems(checked: Mapping[str, Checked], persistence: Persistence) -> list[Problem]:
    """How the shapes of flows differ from those that a store has under their slugs and versions; nothing is written."""
    found: list[Problem] = []
    for target, flow in ((target, flow) for target, each in checked.items() for flow in each.flows):
        row = await persistence.read_flow(flow.slug, flow.version)
        if row is not None and row.fingerprint != flow.shape.fingerprint:
            told = f"flow {flow.slug!r} (version {flow.version}) is registered with another shape"
            lines = differences(Shape(row.shape), flow.shape)
            found += (Problem(target=target, message=f"{told}: {line}") for line in lines)
    return found


def _causes(noted: Sequence[NotedError]) -> Iterator[NotedError]:
    """The errors that do not merely follow from an earlier one: that a step is missing, which was wrong itself."""
    earlier: list[NotedError] = []
    for each in noted:
        if not _follows(each.error, earlier):
            yield each
        earlier.append(each)


def _follows(error: FlowDefinitionError, earlier: Sequence[NotedError]) -> bool:
    """Whether an error speaks of a step that was left out of its flow, or of a flow that lost all its steps."""
    lost = [each.error.step or _name(each.handler) for each in earlier if each.error.flow == error.flow]
    said = str(error).partition(": ")[2]
    return any(f"{name!r}" in said for name in lost) or (bool(lost) and error.step is None)


def _name(handler: object) -> str | None:
    return getattr(handler, "__name__", None)


def _noted_problem(target: str, noted: NotedError) -> Problem:
    function = noted.handler.func if isinstance(noted.handler, partial) else noted.handler  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)  # pyright: ignore[reportUnknownArgumentType]
    if code is None:
        return Problem(target=target, message=str(noted.error))
    return Problem(
        target=target, message=str(noted.error), file=_shown_path(code.co_filename), line=code.co_firstlineno
    )


def _raised_problem(target: str, error: FairleadError) -> Problem:
    place = _place(error.__traceback__) if isinstance(error, FlowDefinitionError) else None
    if place is None:
        return Problem(target=target, message=str(error).removeprefix(f"{target!r}: "))
    return Problem(target=target, message=str(error), file=place[0], line=place[1])


def _place(trace: TracebackType | None) -> tuple[str, int] | None:
    """The innermost line of a traceback that is the user's."""
    found: tuple[str, int] | None = None
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_file() and not any(path.resolve().is_relative_to(folder) for folder in OURS):
            found = _shown_path(str(path)), trace.tb_lineno
        trace = trace.tb_next
    return found


def _shown_path(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative
