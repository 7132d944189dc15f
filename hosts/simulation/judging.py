"""Judging the end of a seed: by the promises, by the course without faults, and by the user's invariants."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ...kernel import Flow, RunDetails
from ...ports.reading import TaskRecord
from ...ports.records import TaskKey
from ...ports.statuses import TaskStatus
from .delivering import wrongly_delivered
from .effects import RUN
from .outcome import Outcome
from .striking import DELAY_S_MAX
from .world import World

Invariant: TypeAlias = Callable[[Outcome], object]
"""What must hold at every end: raises, or answers False, where it does not."""

LOST = ("worker_lost", "timed_out")
"""Why attempts end whose host is gone, or stands still."""

SHOWN_MAX = 5
"""Differences that are shown."""


def broken_promises(world: World, flow: Flow[Any], runs: Sequence[RunDetails]) -> Iterator[str]:
    """What the framework promises and did not keep; nobody's flow can cause that.

    Args:
        world: where all has ended.
        flow: whose runs there are.
        runs: all of them.
    """
    for details in runs:
        for task in details.tasks:
            yield from _called(world, flow, task)
            yield from _begun_late(world, task)
            founded = not task.attempts or world.ledger.returned(str(task.key), task.settled_token)
            if task.status is TaskStatus.COMPLETED and not founded:
                yield f"I9: {task.key} is completed, and no handler under its token {task.settled_token} has returned"
        yield from wrongly_delivered(world.sink.of_run(details.run.id), details.run.next_sequence - 1)


def _called(world: World, flow: Flow[Any], task: TaskRecord) -> Iterator[str]:
    """P2: a handler is called once in each of its attempts, and once more where the record has it given back."""
    step, name = flow.steps[task.key.step], str(task.key)
    attempts = [each.attempt for each in world.ledger.executions.get(name, ())]
    given_back = world.ledger.given_back
    # A check has attempts of its own each time that it looks.
    again = [] if step.suspends else [n for n, count in Counter(attempts).items() if count > 1 + given_back[name, n]]
    if again or max(attempts, default=0) > step.policy.max_attempts:
        yield f"P2: {name} was called with attempts {attempts}, of at most {step.policy.max_attempts}"


def _begun_late(world: World, task: TaskRecord) -> Iterator[str]:
    """P6: after a cancel a handler begins only under a lease that was taken before, and while it lasts.

    A host that stands still in between does not know that it has run out.
    """
    cancelled_s = world.ledger.cancelled.get((task.key.run_id, task.key.generation))
    if cancelled_s is None:
        return
    until_s = cancelled_s + world.setting.lease.total_seconds() + DELAY_S_MAX
    for each in world.ledger.executions.get(str(task.key), ()):
        if each.began_s > until_s and not _stood(world, each.host, cancelled_s, each.began_s):
            after_s = each.began_s - cancelled_s
            yield f"P6: the handler of {task.key} began {after_s:.1f} s after the cancel of its run, on {each.host}"


def _stood(world: World, host: str, from_s: float, until_s: float) -> bool:
    """Whether a process stood still at some time in between."""
    return any(
        entry.who == host and from_s <= entry.at_s <= until_s and entry.what.startswith(("stands still", "goes on"))
        for entry in world.timeline.entries
    )


def differences(outcome: Outcome, calm: Outcome) -> Iterator[str]:
    """What is not as it is without faults."""
    if outcome.status is not calm.status:
        why = "" if outcome.reason is None else f", {outcome.reason}"
        yield f"the run has {outcome.status}{why}; without faults it has {calm.status}"
    elif _shown(outcome) != _shown(calm):
        yield f"the run returns {_shown(outcome)}; without faults it returns {_shown(calm)}"
    elif outcome.reason != calm.reason:
        yield f"the run has failed with {outcome.reason}; without faults with {calm.reason}"
    now, usual = outcome.effects.values, calm.effects.values
    changed = [
        f"resource {place}: {now.get(place, 'is not there')}; without faults {usual.get(place, 'it is not there')}"
        for place in dict.fromkeys([*usual, *now])
        if now.get(place) != usual.get(place)
    ]
    yield from changed[:SHOWN_MAX]


def _shown(outcome: Outcome) -> str:
    return repr(outcome.output).replace(outcome.details.run.id, RUN)


def broken_invariants(outcome: Outcome, invariants: Sequence[Invariant]) -> Iterator[str]:
    """What a user's invariants object to."""
    for invariant in invariants:
        name = getattr(invariant, "__name__", repr(invariant))
        try:
            verdict = invariant(outcome)
        except AssertionError as error:
            yield f"{name}: {str(error) or _asserted(error)}"
        else:
            if verdict is False:
                yield f"{name} does not hold"


def _asserted(error: AssertionError) -> str:
    """The line of an assertion that says nothing."""
    *_, frame = traceback.extract_tb(error.__traceback__)
    return f"{frame.line or 'it does not hold'} ({Path(frame.filename).name}, line {frame.lineno})"


def ran_out(outcome: Outcome, calm: Outcome) -> bool:
    """Whether faults have used up attempts of a task that failed: then it may end otherwise, and that is no defect.

    A handler that raises because it was called before is no such case: the last of its attempts was not lost, and it
    raises more often than it does without faults.
    """
    usual = Counter(key[1:] for key, reason in _failures(calm) if reason not in LOST)
    reasons: dict[TaskKey, list[str]] = {}
    for key, reason in _failures(outcome):
        reasons.setdefault(key, []).append(reason)
    for task in outcome.details.tasks:
        ended = reasons.get(task.key, []) if task.status is TaskStatus.FAILED else []
        own = [reason for reason in ended if reason not in LOST]
        if len(own) < len(ended) and (ended[-1] in LOST or len(own) <= usual[task.key[1:]]):
            return True
    return False


def _failures(outcome: Outcome) -> Iterator[tuple[TaskKey, str]]:
    """Why attempts failed, in their order."""
    for attempt in sorted(outcome.details.attempts, key=lambda each: each.attempt):
        yield attempt.key, attempt.reason
