"""Whether flows are right: every definition error with its place, and how shapes differ from a database's."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from ...kernel import Flow
from ...kernel.definition import Shape, differences
from ...kernel.definition.noting import NotedError, noting_errors
from ...kernel.errors import FlowDefinitionError, IncompleteFlow
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


def check_targets(targets: Iterable[str]) -> dict[str, Checked]:
    """Import and seal the flows that each MODULE:NAME names, and find all that is wrong with their definitions.

    Errors are noted throughout, since the modules of one target may make the flows of another.
    """
    with noting_errors() as noted:
        return {target: _checked(target, noted) for target in dict.fromkeys(targets)}


def _checked(target: str, noted: Sequence[NotedError]) -> Checked:
    before = len(noted)
    flows, problems = _sealed(target)
    found = [_problem(target, each.error, each.calls) for each in noted[before:]]
    return Checked(flows=flows, problems=[*found, *problems])


def _sealed(target: str) -> tuple[Sequence[Flow[Any]], Sequence[Problem]]:
    """The flows, or what is wrong beside what is noted of them."""
    try:
        return kernel_flows(target, find_target(target)), ()
    except IncompleteFlow:
        return (), ()
    except FlowDefinitionError as error:
        calls = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        problem = _problem(target, error, calls[::-1])
        return (), [evolve(problem, message=f"{problem.message} (checking stopped here)")]
    except FairleadError as error:
        return (), [Problem(target=target, message=str(error).removeprefix(f"{target!r}: "))]


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


def _problem(target: str, error: FlowDefinitionError, calls: Iterable[tuple[str, int]]) -> Problem:
    """What is wrong, at the innermost line that is the user's; without a place where none of them was executed."""
    for file, line in takewhile(lambda call: call[0] != __file__, calls):
        if _is_theirs(Path(file)):
            return Problem(target=target, message=str(error), file=_shown_path(file), line=line)
    return Problem(target=target, message=str(error))


def _is_theirs(path: Path) -> bool:
    return path.is_file() and not any(path.resolve().is_relative_to(folder) for folder in OURS)


def _shown_path(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative
