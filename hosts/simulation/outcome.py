"""How one seed ended: for the judge, and for the invariants of users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ...kernel import Failure, Flow, RunDetails, RunStatus
from ...kernel.definition import StepName
from ...ports.statuses import StepStatus
from .effects import RUN, State
from .ledger import Execution


@frozen(kw_only=True)
class Outcome:
    """The end of the run in one seed."""

    flow: Flow[Any] = field(repr=False)
    seed: int | None
    """None for the course without faults."""
    status: RunStatus
    output: Any
    """What the run returned, as `run.result()`; None where it did not complete."""
    reason: str | None
    """Why it did not complete."""
    error: Failure | None
    details: RunDetails
    """Its steps, tasks, failed attempts and events, as `run.details()`."""
    executions: Sequence[Execution]
    """Every call of a handler, in order."""
    resources: Mapping[str, object]
    """What handlers asked for with `Resource[…]`, as they have left it."""
    effects: State = field(repr=False)
    """What the resources hold, as text."""
    virtual_s: float
    """How long it took, in virtual seconds."""
    digest: str
    """The hash of everything that happened: equal for equal seeds."""

    def executions_of(self, step: StepName) -> Sequence[Execution]:
        """The calls of one step's handler, and of its check.

        Raises:
            FlowDefinitionError: the flow has no such step; the nearest name is proposed.
        """
        slug = self.flow.step_named(step).slug
        return [each for each in self.executions if each.step == slug]


def calls_of(outcome: Outcome) -> Counter[tuple[str, str]]:
    """How often the handler of each task was called, by its step and its name in every course."""
    return Counter((each.step, each.task.replace(outcome.details.run.id, RUN)) for each in outcome.executions)


def told_end(outcome: Outcome) -> str:
    """How the run has ended: its status, and of a failed one which steps have failed, and why."""
    if outcome.status is not RunStatus.FAILED:
        return outcome.status.value
    steps = [f"step {each.slug!r}" for each in outcome.details.steps if each.status is StepStatus.FAILED]
    return f"failed, {outcome.reason}" + "".join(f", {each}" for each in [*steps, outcome.error] if each is not None)
