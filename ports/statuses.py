"""The statuses of runs, steps and tasks, and which of them are terminal.

Which change may follow which is the kernel's knowledge (`fairlead.kernel.transitions`); adapters store these
words and compare them, nothing more.
"""

from __future__ import annotations

import enum


class RunStatus(enum.StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepStatus(enum.StrEnum):
    """Where a step of a run stands."""

    CREATED = "created"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class TaskStatus(enum.StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_RUN = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
TERMINAL_STEP = frozenset(
    {StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED},
)
TERMINAL_TASK = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
SETTLED_WELL = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})
"""How the steps of a completed run have ended."""
LIVE_TASK = frozenset(TaskStatus) - TERMINAL_TASK
LIVE_STEP = frozenset(StepStatus) - TERMINAL_STEP
