"""What a decision on several runs comes to, and what all of them begin and end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import Factory, define

from ...ports.records import ElementRequest, Lease, RunRow, Snapshot, StepRow
from ..commands import Verdict
from ..failures import failure_of
from ..plan import Plan
from .handover import HandOver
from .insertion import ElementsNotLoaded
from .progress import RunProgress
from .state import ChangeSet, NotLoaded, RunState, StepState
from .waits import SignalsNotLoaded


@define
class Settled:
    """What a batch comes to: of outcomes, of lost leases, of waits that are over; or a signal."""

    changes: ChangeSet = Factory(ChangeSet)
    verdicts: dict[Lease, Verdict] = Factory(dict[Lease, Verdict])
    incomplete: list[str] = Factory(list[str])
    """Runs that reached a step which was not loaded: decide again with all of their steps. `changes` is void then."""
    unrecorded: set[Lease] = Factory(set[Lease])
    """The leases whose outcomes have an output, and whose tasks have failed nevertheless."""
    elements: list[ElementRequest] = Factory(list[ElementRequest])
    """What has to be known of maps with gaps: decide again with the answers. `changes` is void then, too."""
    signals: list[str] = Factory(list[str])
    """Runs whose kept signals have to be known, likewise."""

    @property
    def complete(self) -> bool:
        """Whether everything that the decision asked for was there."""
        return not (self.incomplete or self.elements or self.signals)

    def ask(self, run_id: str, lack: NotLoaded) -> None:
        """Note what the decision on a run needs besides."""
        if isinstance(lack, ElementsNotLoaded):
            self.elements.append(lack.request)
        elif isinstance(lack, SignalsNotLoaded):
            self.signals.append(run_id)
        else:
            self.incomplete.append(run_id)


def progress_of(
    row: RunRow,
    plans: Mapping[int, Plan],
    steps: dict[str, StepState],
    snapshot: Snapshot,
    now: datetime,
    hand_over: HandOver,
) -> RunProgress:
    """A run as it was loaded, to be advanced."""
    return RunProgress(
        plans[row.flow_id],
        RunState.loaded(row),
        steps,
        now=now,
        hand_over=hand_over,
        elements=snapshot.elements,
        signals=snapshot.signals.get(row.id),
    )


def fail_run(progress: RunProgress, leases: Sequence[Lease], error: Exception, settled: Settled) -> None:
    """End a run whose rules raise, by what needs no rules; nothing of its tasks is recorded."""
    settled.verdicts.update((lease, Verdict.STALE) for lease in leases)
    if not progress.ended:
        progress.fail("internal_error", failure_of(error))
        progress.write(settled.changes)


def steps_by_run(snapshot: Snapshot) -> dict[str, dict[str, StepRow]]:
    """The steps of a snapshot by run id and slug."""
    found: dict[str, dict[str, StepRow]] = {}
    for (run_id, slug), row in snapshot.steps.items():
        found.setdefault(run_id, {})[slug] = row
    return found
