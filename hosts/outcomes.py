"""How attempts end, as data: whatever a handler returns or raises becomes an `Outcome`.

Making one from an exception never raises, whatever the exception's class does: an attempt without an outcome would
keep its slot for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, cast

from ..kernel import GiveUp, PayloadError, RetryAfter, Suspend
from ..kernel.array_writing import InvalidElement
from ..kernel.commands import Outcome, OutcomeKind
from ..kernel.durations import in_seconds, readable
from ..kernel.failures import encode_failure, failure_of
from ..ports.blobs import BlobCorrupt
from ..ports.records import ClaimedTask, TaskPhase
from .executables import Executable
from .spilling import OutputNotStored
from .streams import ElementMisfit, ElementsMissing

logger = logging.getLogger(__name__)


class Judgement(NamedTuple):
    """How an attempt that failed by an exception is recorded."""

    reason: str
    retryable: bool


HOST_FAILED = Judgement("host_failed", retryable=True)

SERVING: Mapping[type[BaseException], Judgement] = {
    InvalidElement: Judgement("invalid_output", retryable=False),
    ElementMisfit: Judgement("invalid_input", retryable=False),
    BlobCorrupt: Judgement("blob_corrupt", retryable=True),
    OutputNotStored: Judgement("output_not_stored", retryable=False),
    ElementsMissing: HOST_FAILED,
}
"""What is raised where a host serves a handler, before, while or after it runs, and so is none of the handler's own."""

CALLERS = frozenset({__package__, f"{__package__}.testing", Outcome.__module__.rpartition(".")[0]})
"""The packages whose frames stand between a host's loop and a handler; they tell nobody where a handler failed."""


def returned(task: ClaimedTask, executable: Executable, value: object) -> Outcome:
    """The handler returned `value`; it fails where that does not fit what its step declares."""
    if isinstance(value, Suspend):
        return suspended(task, executable, cast("Suspend[object]", value))
    try:
        output = executable.step.encode_output(value)
    except PayloadError as error:
        return _failed(task, error, reason="invalid_output", retryable=False)
    return completed_with(task, output, executable.facts(output))


def completed_with(task: ClaimedTask, output: bytes, facts: bytes | None) -> Outcome:
    """The handler's output is known to be right."""
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.COMPLETED,
        output=output,
        facts=facts,
    )


def suspended(task: ClaimedTask, executable: Executable, suspend: Suspend[object]) -> Outcome:
    """The handler asks to be checked later on; it fails where it has no check, or what it asks for makes no sense."""
    try:
        _require_sense(executable, suspend)
        state = executable.step.encode_state(suspend.state)
    except PayloadError as error:
        return _failed(task, error, reason="invalid_output", retryable=False)
    give_up_after_s = suspend.give_up_after_s
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.SUSPENDED,
        state=state,
        check_after=timedelta(seconds=suspend.check_after_s),
        give_up_after=None if give_up_after_s is None else timedelta(seconds=give_up_after_s),
    )


def _require_sense(executable: Executable, suspend: Suspend[object]) -> None:
    slug = executable.step.slug
    if executable.step.check is None:
        problem = f"returned Suspend, but step {slug!r} has no check; register one with @flow.check({slug})"
        if executable.is_map:
            problem = f"returned Suspend, which no map can do: step {slug!r} has a task for each of its elements"
    elif executable.phase is TaskPhase.RUN and not _is_checked(suspend):
        problem = (
            f"gives up after {readable(suspend.give_up_after_s or 0.0)}, before its first check after "
            f"{readable(suspend.check_after_s)}; let give_up_after be longer than check_after"
        )
    else:
        return
    raise PayloadError((("$", problem),), what=f"output of step {slug!r}")


def _is_checked(suspend: Suspend[object]) -> bool:
    """Whether there is a check at all before it is given up."""
    return suspend.give_up_after_s is None or suspend.give_up_after_s > suspend.check_after_s


def failed(task: ClaimedTask, executable: Executable, error: BaseException) -> Outcome:
    """The handler raised. A delay or a class that makes no sense leaves the step's own retries."""
    if isinstance(error, tuple(SERVING)):
        return host_failed(task, error)
    retryable, retry_after = True, None
    try:
        if isinstance(error, RetryAfter):
            retry_after = timedelta(seconds=in_seconds(error.delay_s))
        else:
            retryable = not isinstance(error, (GiveUp, *executable.step.non_retryable))
    except BaseException:  # recovers 74: what was raised does not say how to go on
        logger.warning("what task %s raised does not say how to go on; it is tried again as its step says", task.key)
    return _failed(task, error, reason="handler_failed", retryable=retryable, retry_after=retry_after)


def invalid_input(task: ClaimedTask, error: PayloadError) -> Outcome:
    """What the handler was to be called with does not fit its parameters."""
    return _failed(task, error, reason="invalid_input", retryable=False)


def host_failed(task: ClaimedTask, error: BaseException) -> Outcome:
    """The attempt failed where its host served it; what is not among `SERVING` kept the host from running it."""
    judged = next((each for kind, each in SERVING.items() if isinstance(error, kind)), HOST_FAILED)
    return _failed(task, error, reason=judged.reason, retryable=judged.retryable)


def timed_out(task: ClaimedTask, executable: Executable) -> Outcome:
    """The attempt took longer than its step allows."""
    message = f"the attempt took longer than {executable.step.policy.timeout_s:g} s"
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.FAILED,
        error=encode_failure(type="StepTimeout", message=message, attempt=task.attempt),
        reason="timed_out",
    )


def released(task: ClaimedTask) -> Outcome:
    """The host gives the task back; its attempt is not spent."""
    return Outcome(key=task.key, token=task.token, flow_id=task.flow_id, kind=OutcomeKind.RELEASED)


def _failed(
    task: ClaimedTask,
    error: BaseException,
    *,
    reason: str,
    retryable: bool = True,
    retry_after: timedelta | None = None,
) -> Outcome:
    return Outcome(
        key=task.key,
        token=task.token,
        flow_id=task.flow_id,
        kind=OutcomeKind.FAILED,
        error=_described(error, task.attempt),
        reason=reason,
        retryable=retryable,
        retry_after=retry_after,
    )


def _leaving_us(error: BaseException) -> TracebackType | None:
    """Where the traceback of an exception leaves what calls handlers; None where it never does."""
    try:
        frame = error.__traceback__
        while frame is not None and frame.tb_frame.f_globals.get("__package__") in CALLERS:
            frame = frame.tb_next
        return frame
    except BaseException:  # recovers 55: an exception of users may answer as it likes
        return None


def _described(error: BaseException, attempt: int) -> bytes:
    try:
        return failure_of(error, attempt=attempt, since=_leaving_us(error))
    except BaseException:  # recovers 55: `failure_of` trusts nothing, but memory may be short
        return encode_failure(type="Indescribable", message="what was raised cannot be described", attempt=attempt)
