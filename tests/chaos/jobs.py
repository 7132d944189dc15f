"""What the flows of a campaign are given and make: each run's result follows from its input alone, by `expected`."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

import attrs

MAX_ATTEMPTS: Final = 40
"""Of ordinary steps: enough for any number of lost leases that a campaign brings about, and soon."""

DOOMED_ATTEMPTS: Final = 3
"""Of the step that always fails."""


@attrs.frozen(kw_only=True)
class Job:
    """The input of every flow."""

    value: int
    elements: int = 6
    """Of maps."""
    failures: int = 0
    """How many attempts of a retried step fail."""
    size: int = 0
    """Characters of a large payload."""
    work_ms: int = 20
    """How long a handler works."""
    padding: str = ""
    """Makes the input itself large."""


@attrs.frozen
class Made:
    """What a step made, and in which attempt."""

    value: int
    attempt: int


@attrs.frozen
class Large:
    """A payload that goes into blobs."""

    text: str
    parts: list[str]
    attempt: int


@attrs.frozen
class Waiting:
    """What a suspended step waits with."""

    checks_left: int


@attrs.frozen
class Answer:
    """What signals carry."""

    value: int
    note: str = ""


def mixed(value: int, salt: str) -> int:
    """A number that follows from another one, and from nothing else."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{value}".encode()).digest()[:4])


async def work(job: Job) -> None:
    """Take as long as the job says."""
    await asyncio.sleep(job.work_ms / 1000)


def text_of(job: Job) -> str:
    """A text of the size that the job says."""
    return hashlib.sha256(str(job.value).encode()).hexdigest() * (job.size // 64 + 1)


def answer_to(run_id: str) -> Answer:
    """The one answer that anybody sends to a run; now and then it is a large one."""
    value = mixed(0, run_id) % 1000
    return Answer(value, note="." * 40_000 if value % 7 == 0 else "")


def expected(flow: str, job: Job, run_id: str) -> int:
    """The value of the leaf of a run that completes."""
    match flow:
        case "chain":
            return mixed(mixed(mixed(job.value, "first"), "second"), "third")
        case "spread":
            return sum(2 * mixed(job.value + n, "square") for n in range(job.elements))
        case "flaky":
            return mixed(mixed(job.value, "stubborn"), "relieved")
        case "choice":
            return mixed(job.value, "left" if job.value % 2 else "right")
        case "patient":
            return mixed(mixed(job.value, "order"), "unpacked")
        case "asked":
            return mixed(job.value, "ask") + answer_to(run_id).value
        case "timed":
            return mixed(job.value, "awake")
        case "heavy":
            return sum(text_of(job).encode())
        case "fleeting":
            return mixed(job.value, "pass")
        case "beat":
            return mixed(job.value, "tick")
        case _:
            raise ValueError(f"runs of {flow} do not complete")
