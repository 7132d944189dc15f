"""Keeping: whether anybody may still ask for what an attempt wrote into blobs."""

from __future__ import annotations

from ...ports.records import TaskPhase, TaskRow
from ...ports.statuses import TERMINAL_TASK, TaskStatus


def may_be_referred_to(task: TaskRow | None, token: int) -> bool:
    """Whether what an attempt wrote is its task's output or state, or may become so.

    Args:
        task: as it stands; None where there is no such task.
        token: of the attempt.
    """
    if task is None:
        return False
    if task.status in TERMINAL_TASK:
        return task.status is TaskStatus.COMPLETED and task.settled_token == token
    # The state that a step keeps for its check may be of any earlier attempt.
    return task.token == token or task.phase is TaskPhase.CHECK
