"""Jobs as messages: what a queue outside Fairlead carries, and how it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec

from ..kernel.definition.names import slug_problem
from ..ports.records import TaskKey
from ..ports.transport import Job
from .errors import MalformedJob

NUMBER_MAX: Final = 2**31 - 1
"""The largest generation or element: what an integer column holds."""

Message: TypeAlias = "Job | Mapping[str, object] | str | bytes"
"""A job, or its message as an object or as JSON text."""


class _Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    step: str
    generation: Annotated[int, msgspec.Meta(ge=1, le=NUMBER_MAX)]
    element: Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]


class _Job(msgspec.Struct, frozen=True, omit_defaults=True):
    run_id: str
    queue: str = ""
    task: _Task | None = None
    not_before: datetime | None = None
    flow_id: int | None = None


_decoder = msgspec.json.Decoder(_Job)


def job_of(message: Message) -> Job:
    """Return the job that a message carries.

    Raises:
        MalformedJob: it carries none.
    """
    if isinstance(message, Job):
        return message
    try:
        read = _decoder.decode(message) if isinstance(message, str | bytes) else msgspec.convert(message, _Job)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:  # recovers 40: the message is no job
        raise MalformedJob(f"the message is no job: {error}") from error
    if not read.run_id:
        raise MalformedJob("the message names no run")
    if read.not_before is not None and read.not_before.tzinfo is None:
        raise MalformedJob("'not_before' has no time zone")
    task = read.task
    problem = None if task is None else slug_problem(task.step)
    if problem is not None:
        raise MalformedJob(f"the step that it names {problem}")
    key = None if task is None else TaskKey(read.run_id, task.step, task.generation, task.element)
    return Job(run_id=read.run_id, queue=read.queue, task=key, not_before=read.not_before, flow_id=read.flow_id)


def message_of(job: Job) -> bytes:
    """Return a job as JSON text, which `job_of` reads."""
    task = None if job.task is None else _Task(job.task.step, job.task.generation, job.task.element)
    return msgspec.json.encode(_Job(job.run_id, job.queue, task, job.not_before, job.flow_id))


def is_served(job: Job, *, flow_ids: Collection[int], queues: Collection[str]) -> bool:
    """Whether a host of these flows and queues can do anything about a job; else it is left to another host."""
    if job.flow_id is not None and job.flow_id not in flow_ids:
        return False
    return job.task is None or job.queue in queues
