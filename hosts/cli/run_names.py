"""Which run a person means: its id, the end or the beginning of it, or `latest`."""

from __future__ import annotations

import re

from ...kernel import Kernel
from ...kernel.kernel import RUNS_PER_PAGE_MAX
from ...ports.errors import UsageError
from ...ports.reading import RunRecord
from .moments import run_id_of
from .output import shown_time

LATEST = "latest"

RUN_HELP = "RUN is a run's id, or the end or the beginning of one as far as no other run has it too, or `latest`."

PART_LENGTH_MIN = 4
"""Hexadecimal digits of a part: with fewer, a typo would find a run too easily."""

RUNS_SEARCHED_MAX = 10_000
"""Among the newest so many runs a part of an id is looked for: ten pages."""

CANDIDATES_SHOWN_MAX = 5

_PART = re.compile(r"[0-9a-f-]+")


class RunNotNamed(UsageError):
    """What was written names no run."""

    def __init__(self, text: str, problem: str) -> None:
        self.text = text
        super().__init__(f"{text!r} {problem}; `fairlead runs list` shows the runs that there are")


class RunAmbiguous(UsageError):
    """A part of an id that several runs have."""

    def __init__(self, text: str, found: list[RunRecord]) -> None:
        self.text = text
        self.candidates = tuple(run.id for run in found)
        listed = "\n".join(
            f"  {run.id}  {run.flow}, {run.status}, created {shown_time(run.created_at)}"
            for run in found[:CANDIDATES_SHOWN_MAX]
        )
        more = len(found) - CANDIDATES_SHOWN_MAX
        rest = f"\n  and {more} more" if more > 0 else ""
        super().__init__(f"{text!r} is a part of several ids; write more of the one that you mean:\n{listed}{rest}")


async def find_run(kernel: Kernel, text: str) -> str:
    """Return the id of the run that is meant. A full id is returned as it is, whether there is such a run or not.

    Raises:
        RunNotNamed: there is no such run, or the text cannot name one.
        RunAmbiguous: there are several.
    """
    try:
        return run_id_of(text)
    except ValueError:
        pass
    if text == LATEST:
        newest = await kernel.runs(limit=1)
        if not newest.runs:
            raise RunNotNamed(text, "is no run, since none was ever started")
        return newest.runs[0].id
    part = text.lower()
    if _PART.fullmatch(part) is None:
        raise RunNotNamed(text, "names no run: expected an id, the end or the beginning of one, or `latest`")
    part = part.replace("-", "")
    if len(part) < PART_LENGTH_MIN:
        raise RunNotNamed(text, f"is too short a part of an id: expected at least {PART_LENGTH_MIN} digits")
    found = await _with_part(kernel, part)
    if not found:
        raise RunNotNamed(text, f"is neither the end nor the beginning of an id among the newest {RUNS_SEARCHED_MAX:,}")
    if len(found) > 1:
        raise RunAmbiguous(text, found)
    return found[0].id


async def nearest_flow(kernel: Kernel, slug: str) -> str | None:
    """The flow among the newest runs that a misspelt slug probably means; None where there is none, or the very one."""
    from difflib import get_close_matches

    page = await kernel.runs(limit=RUNS_PER_PAGE_MAX)
    close = get_close_matches(slug, {run.flow for run in page.runs}, n=1)
    return close[0] if close and close[0] != slug else None


async def _with_part(kernel: Kernel, part: str) -> list[RunRecord]:
    """The runs whose ids end or begin with some digits, newest first."""
    found: list[RunRecord] = []
    after = None
    for _ in range(RUNS_SEARCHED_MAX // RUNS_PER_PAGE_MAX):
        page = await kernel.runs(limit=RUNS_PER_PAGE_MAX, after=after)
        for run in page.runs:
            digits = run.id.replace("-", "")
            if digits.endswith(part) or digits.startswith(part):
                found.append(run)
        after = page.next
        if after is None:
            break
    return found
