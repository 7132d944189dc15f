"""Judging the end of a seed: by the promises, by the course without faults, and by the user's invariants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from ...kernel import Flow, RunDetails
from ...ports.statuses import TaskStatus
from .effects import RUN
from .outcome import Outcome
from .world import World

Invariant: TypeAlias = Callable[[Outcome], object]
"""What must hold at every end: raises, or answers False, where it does not."""

LOST = ("worker_lost", "timed_out")
"""Why attempts end whose host is gone, or stands still."""

STOPPED = "raised CancelledError"
"""How a handler ends that its host stops."""

SHOWN_MAX = 5
"""Differences that are shown."""


def broken_promises(world: World, flow: Flow[Any], runs: Sequence[RunDetails]) -> Iterator[str]:
    """What the framework promises and did not keep; nobody's flow can cause that.

    Args:
        world: where all has ended.
        flow: whose runs there are.
        runs: all of them.
    """
    for executions in world.ledger.executions.values():
        most = flow.steps[executions[0].step].policy.max_attempts
        # What a host has stopped as it ended is given back unspent, and called again as the same attempt.
        attempts = [each.attempt for each in executions if each.how != STOPPED]
        # A check has attempts of its own each time that it looks.
        checked = flow.steps[executions[0].step].suspends
        if not checked and (len(attempts) > most or len(set(attempts)) < len(attempts)):
            yield f"P2: {executions[0].task} was called with attempts {attempts}, of at most {most}"
    for details in runs:
        for task in details.tasks:
            if task.status is TaskStatus.COMPLETED:
                executions = world.ledger.executions.get(str(task.key), [])
                if flow.steps[task.key.step].binding is not None and not any(
                    each.ended_s is not None for each in executions
                ):
                    yield f"I9: {task.key} is completed, and its handler never ended"
        sequences = list(dict.fromkeys(event.sequence for event in world.sink.of_run(details.run.id)))
        if sequences != list(range(1, details.run.next_sequence)):
            yield f"I20: of {details.run.next_sequence - 1} events the sink has, in this order, {sequences}"


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
            yield f"{name}: {error or 'it does not hold'}"
        else:
            if verdict is False:
                yield f"{name} does not hold"


def ran_out(outcome: Outcome) -> bool:
    """Whether faults have used up attempts of a task that failed: then it may end otherwise, and that is no defect."""
    failed = {task.key for task in outcome.details.tasks if task.status is TaskStatus.FAILED}
    return any(each.key in failed and each.reason in LOST for each in outcome.details.attempts)
