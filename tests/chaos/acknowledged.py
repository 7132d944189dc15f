"""What the client was told: kept outside all faults, and held against the database in the end."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping

from attrs import define, field, frozen

from fairlead.kernel import RunStatus
from tests.chaos.jobs import Job


@define(eq=False)
class Started:
    """A start that was asked for under a key."""

    flow: str
    job: Job
    deferred: bool = False
    """Whether it was to start later."""
    run_ids: set[str] = field(factory=set[str])
    """The answers; none where nobody answered yet. More than one is a violation."""


@frozen
class TaskState:
    """Where a task of a cancelled run stands."""

    status: str
    token: int
    attempts: int


@frozen
class Frozen:
    """A run as it was read right after its cancel was acknowledged: nothing of it may change any more."""

    status: RunStatus
    generation: int
    next_sequence: int
    tasks: dict[str, TaskState]


class End(enum.StrEnum):
    """How a transaction of an application ended, as far as the application knows."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    KILLED = "killed"
    """Before its commit was sent."""
    UNKNOWN = "unknown"
    """The commit was sent, and nothing came back."""


@frozen(kw_only=True)
class Transaction:
    """What an application put down at once."""

    row: str
    """A row of its own."""
    end: End
    starts: Mapping[str, str] = field(factory=dict[str, str])
    """The flows of runs that were started in it, by key."""
    signals: Mapping[str, str] = field(factory=dict[str, str])
    """The keys of signals that were sent in it, by run."""


@define(eq=False)
class Acknowledged:
    """All of it."""

    starts: dict[str, Started] = field(factory=dict[str, Started])
    """By key."""
    cancels: dict[str, Frozen] = field(factory=dict[str, Frozen])
    """By run, those that took effect."""
    ended_before_cancel: set[str] = field(factory=set[str])
    """Runs of which a cancel was told that they had ended."""
    deadlines: set[str] = field(factory=set[str])
    """Runs that were to be cancelled later."""
    signals: dict[str, str] = field(factory=dict[str, str])
    """By run, the key under which its signal was accepted; empty for a resume token."""
    generations: dict[str, int] = field(factory=lambda: defaultdict[str, int](int))
    """By run, the highest that a rerun has answered."""
    unanswered: set[str] = field(factory=set[str])
    """Runs that are left waiting for a signal on purpose."""

    transactions: list[Transaction] = field(factory=list[Transaction])
    """Those of applications, each once for every time that it was tried and ended for certain."""

    def by_run(self) -> dict[str, Started]:
        """What each run was started with."""
        return {run_id: started for started in self.starts.values() for run_id in started.run_ids}
