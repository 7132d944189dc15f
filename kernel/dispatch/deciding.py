"""Deciding on what was loaded; where that is not all it takes, loading the rest and deciding again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from ...ports.errors import CorruptionError
from ...ports.persistence import Transaction
from ...ports.records import Snapshot, TaskKey
from ..decisions.settled import Settled
from ..plan import Plan


async def decide_and_apply(
    transaction: Transaction, snapshot: Snapshot, plans: Mapping[int, Plan], decide: Callable[[Snapshot], Settled]
) -> Settled:
    """Take a decision and apply it.

    The first decision may miss steps and kept signals, each later one the elements of a further map; a flow has no
    more than steps.

    Args:
        transaction: which holds the runs of `snapshot`.
        snapshot: what was loaded so far.
        plans: by flow id, for every run in `snapshot`.
        decide: the decision, which may be taken several times.

    Raises:
        CorruptionError: rows are missing.
    """
    settled = decide(snapshot)
    tries = 0
    while not settled.complete:
        if tries > 1 + max(len(plans[row.flow_id].steps) for row in snapshot.runs.values()):
            raise CorruptionError(f"rows are missing: steps of {settled.incomplete}, elements {settled.elements}")
        tries += 1
        snapshot = await _completed(transaction, snapshot, plans, settled)
        settled = decide(snapshot)
    if not settled.changes.empty:
        await transaction.apply(settled.changes.frozen())
    return settled


async def _completed(
    transaction: Transaction, snapshot: Snapshot, plans: Mapping[int, Plan], settled: Settled
) -> Snapshot:
    """The snapshot with what a decision asked for besides."""
    steps, elements, signals = snapshot.steps, snapshot.elements, snapshot.signals
    if settled.incomplete:
        plan_of = {run_id: plans[snapshot.runs[run_id].flow_id] for run_id in settled.incomplete}
        rows = await transaction.load_steps([(run_id, slug) for run_id, plan in plan_of.items() for slug in plan.steps])
        steps = {**steps, **{(row.run_id, row.slug): row for row in rows}}
    if settled.elements:
        elements = {**elements, **await transaction.load_elements(settled.elements)}
    if settled.signals:
        known = await transaction.load_signals(settled.signals)
        signals = {**signals, **{run_id: known.get(run_id, ()) for run_id in settled.signals}}
    return replace(snapshot, steps=steps, elements=elements, signals=signals)


def neighbours(plans: Mapping[int, Plan], tasks: Iterable[tuple[TaskKey, int]]) -> tuple[tuple[str, str], ...]:
    """The (run id, slug) steps that the end of these tasks, of flows with these ids, touches; each once."""
    wanted: dict[tuple[str, str], None] = {}
    for key, flow_id in tasks:
        for slug in plans[flow_id].neighbours[key.step]:
            wanted[key.run_id, slug] = None
    return tuple(wanted)
