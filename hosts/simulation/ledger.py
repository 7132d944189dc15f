"""What really happened, kept outside all faults: which handlers were called, and what clients were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta

from attrs import define, field

from ...ports.records import TaskPhase

RETURNED = "returned"
"""How an execution ends that does not fail."""


def called(phase: TaskPhase) -> str:
    """What is called in a phase of a task."""
    return "handler" if phase is TaskPhase.RUN else "check"


@define
class Execution:
    """One call of a handler."""

    task: str
    """The task's id, which is its `ctx.idempotency_key`."""
    step: str
    attempt: int
    token: int
    """Of the claim that it was called for. Each claim calls it once at most."""
    phase: TaskPhase
    host: str
    began_s: float
    ended_s: float | None = None
    """When it returned or raised; None where its host died, or it never did."""
    how: str = "did not end"


@define
class Ledger:
    """The truth of one world."""

    executions: dict[str, list[Execution]] = field(factory=lambda: defaultdict[str, list[Execution]](list))
    """By task, in the order in which handlers were called."""
    deaths: dict[str, float] = field(factory=dict[str, float])
    """When hosts and clients were killed, in virtual seconds."""
    given_back: Counter[tuple[str, int]] = field(factory=Counter[tuple[str, int]])
    """How often hosts have given back an attempt at a task unspent, as the record has it."""
    cancelled: dict[tuple[str, int], float] = field(factory=dict[tuple[str, int], float])
    """When a generation of a run was cancelled: the commit, in virtual seconds."""
    clocks: dict[str, timedelta] = field(factory=dict[str, timedelta])
    """By how much the clocks of processes go wrong."""
    doubled: list[str] = field(factory=list[str])
    """Calls that one claim has led to beside its first."""
    runs: dict[str, str] = field(factory=dict[str, str])
    """The ids of runs that clients were told, by key."""

    def repeated(self, phase: TaskPhase) -> Sequence[Sequence[Execution]]:
        """The executions of each task whose handler, or check, was called more than once."""
        of_phase = ([each for each in executions if each.phase is phase] for executions in self.executions.values())
        return [executions for executions in of_phase if len(executions) > 1]

    def note_call(self, execution: Execution) -> None:
        """A handler is called."""
        of_task = self.executions[execution.task]
        if any(each.token == execution.token for each in of_task):
            self.doubled.append(f"{execution.task} was called again under token {execution.token}")
        of_task.append(execution)

    def returned(self, task: str, token: int) -> bool:
        """Whether the handler has returned that was called for this claim of a task."""
        return any(each.token == token and each.how == RETURNED for each in self.executions.get(task, ()))

    def over(self, task: str, token: int) -> bool:
        """Whether the handler has ended that was called for this claim of a task."""
        return any(each.token == token and each.ended_s is not None for each in self.executions.get(task, ()))

    @property
    def count(self) -> int:
        """How many handlers were called."""
        return sum(map(len, self.executions.values()))
