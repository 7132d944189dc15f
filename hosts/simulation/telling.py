"""What a seed shows that does not survive: what is wrong, why, what happened, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ...kernel import Flow
from ...kernel.amounts import counted
from ...ports.records import TaskPhase
from .ledger import Execution, called
from .timeline import Entry
from .world import World

LINES_SHOWN_MAX = 200
"""Lines of the timeline that a message shows; all entries are in `SimulationFailed.timeline`."""

REPEATED_SHOWN_MAX = 5


class SimulationFailed(AssertionError):
    """A seed in which something did not hold; its text says what, why, and how to see it again.

    Args:
        text: all of that.
        seed: which seed; None where no fault was needed.
        problems: what did not hold.
        timeline: everything that happened, also what hosts have logged.
        digest: the hash of everything that happened.
    """

    def __init__(
        self, text: str, *, seed: int | None, problems: Sequence[str], timeline: Sequence[Entry], digest: str
    ) -> None:
        self.seed = seed
        self.problems = tuple(problems)
        self.timeline = tuple(timeline)
        self.digest = digest
        super().__init__(text)


def failure(
    flow: Flow[Any], seed: int | None, problems: Sequence[str], world: World, *, by_flow: bool
) -> SimulationFailed:
    """Tell what did not hold.

    Args:
        flow: what was simulated.
        seed: which seed; None where no fault was needed.
        problems: what did not hold.
        world: where it happened.
        by_flow: whether the flow's handlers may be the cause; otherwise it is a defect of the framework.
    """
    course = "without faults" if seed is None else f"seed {seed}"
    timeline, digest = world.timeline.entries, world.timeline.digest
    lines = [f"flow {flow.slug!r}, {course}: {problems[0]}", *(f"  {problem}" for problem in problems[1:])]
    if by_flow:
        lines += _reasons(world)
    else:
        lines += ["", "A promise of the framework is broken, which no flow can cause: please report it."]
    lines += ["", *_course(timeline), "", f"Again: simulate(…, seeds=[{seed}])    # trace {digest}"]
    return SimulationFailed("\n".join(lines), seed=seed, problems=problems, timeline=timeline, digest=digest)


def _reasons(world: World) -> Iterator[str]:
    """Which handlers were called more than once, and what became of each call."""
    # A check is called again and again by its nature: only where nothing else was may that make the difference.
    repeated = world.ledger.repeated(TaskPhase.RUN) or world.ledger.repeated(TaskPhase.CHECK)
    if not repeated:
        yield ""
        yield "No handler was called twice, so no repetition makes the difference. Does a handler use random numbers,"
        yield "the time, or state that is kept outside of its resources, or depend on what runs beside it?"
        return
    yield ""
    for executions in repeated[:REPEATED_SHOWN_MAX]:
        first = executions[0]
        yield f"The {called(first.phase)} of {first.step!r} was called {len(executions)} times for task {first.task}:"
        yield from (f"  {_told(each, world.ledger.deaths.get(each.host))}" for each in executions)
    if len(repeated) > REPEATED_SHOWN_MAX:
        yield f"and those of {len(repeated) - REPEATED_SHOWN_MAX} further tasks."
    yield ""
    yield "A handler is called at least once, and again where it fails or where nobody learnt what became of it. What"
    yield "it does outside must bear that: give `ctx.idempotency_key`, which stays the same, to whatever it calls, or"
    yield "look first whether it was done."


def _told(execution: Execution, died_s: float | None) -> str:
    told = f"attempt {execution.attempt} on {execution.host} began at {execution.began_s:.3f} s"
    if execution.ended_s is not None:
        told += (
            f", {execution.how.replace('raises', 'raised').replace('returns', 'returned')} at {execution.ended_s:.3f} s"
        )
    if died_s is not None:
        told += f"; its host was killed at {died_s:.3f} s"
    return told


def _course(timeline: Sequence[Entry]) -> Iterator[str]:
    told = [
        line
        for minor, entries in groupby((each for each in timeline if each.who != "log"), lambda each: each.minor)
        for line in (_folded(list(entries)) if minor else map(str, entries))
    ]
    yield "What happened:"
    if len(told) > LINES_SHOWN_MAX:
        yield f"  … {counted(len(told) - LINES_SHOWN_MAX, 'earlier line')}"
    yield from (f"  {line}" for line in told[-LINES_SHOWN_MAX:])


def _folded(entries: Sequence[Entry]) -> list[str]:
    """Calls of ports that failed one after the other, as one line."""
    return [str(entries[0])] if len(entries) == 1 else [f"{'…':>12}    {len(entries)} calls of ports failed"]
