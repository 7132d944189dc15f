"""How one seed ended: for the judge, and for the invariants of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ...kernel import Failure, RunDetails, RunStatus
from .ledger import Execution


@frozen(kw_only=True)
class Outcome:
    """The end of the run in one seed."""

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
    effects: Mapping[str, str] = field(repr=False)
    """The state of the resources as text, by where it is held."""
    virtual_s: float
    """How long it took, in virtual seconds."""
    digest: str
    """The hash of everything that happened: equal for equal seeds."""

    def executions_of(self, step: str) -> Sequence[Execution]:
        """The calls of one step's handler, and of its check."""
        return [each for each in self.executions if each.step == step]
