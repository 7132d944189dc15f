"""Whether a measurement counts: every run came to its end with the right output, and the doctor finds nothing wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fairlead.adapters.postgres import postgres_ports
from fairlead.kernel import Flow, Kernel
from fairlead.ports.reading import OutputRequest, RunFilter
from fairlead.ports.statuses import RunStatus

from .flows import FLOWS, input_of, output_of
from .processes import BATCH


async def check_drained(
    url: str, flow: Flow[Any], run_ids: Sequence[str], *, elements: int, since: datetime | None = None
) -> None:
    """As `check_runs`, for a database."""
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        await check_runs(kernel, flow, run_ids, elements=elements, since=since)


async def check_runs(
    kernel: Kernel, flow: Flow[Any], run_ids: Sequence[str], *, elements: int = 0, since: datetime | None = None
) -> None:
    """Raise unless these runs, and no others of their flow, are completed with the right output, and all is well.

    Args:
        kernel: whose store they are in.
        flow: of all of them.
        run_ids: those that were started.
        elements: of their maps.
        since: runs that were created before are not looked at.
    """
    completed: set[str] = set()
    chosen = RunFilter(flow=flow.slug, statuses=frozenset({RunStatus.COMPLETED}), created_from=since)
    page = await kernel.runs(chosen, limit=BATCH)
    completed.update(record.id for record in page.runs)
    while page.next is not None:
        page = await kernel.runs(chosen, limit=BATCH, after=page.next)
        completed.update(record.id for record in page.runs)
    if completed != set(run_ids):
        raise RuntimeError(f"{flow.slug}: {len(completed & set(run_ids))} of {len(run_ids)} runs are completed")
    (leaf,) = flow.plan.leaves
    wanted = output_of(flow, elements)
    for chunk in _chunks(run_ids):
        requests = [OutputRequest(run_id, leaf) for run_id in chunk]
        payloads = await kernel.ports.persistence.read_payloads((), requests)
        for request in requests:
            found = flow.steps[leaf].produced.decode(payloads.outputs[request].outputs[0] or b"")
            if found != wanted:
                raise RuntimeError(f"{flow.slug}: run {request.run_id} has the output {found!r}")
    await check_health(kernel)


async def check_started(url: str, flow: Flow[Any], run_ids: Sequence[str]) -> None:
    """Raise unless these runs are pending with the right input, and all is well."""
    wanted = input_of(flow, 0)
    async with Kernel(flows=FLOWS, ports=postgres_ports(url)) as kernel:
        for chunk in _chunks(run_ids):
            payloads = await kernel.ports.persistence.read_payloads(chunk, ())
            for run_id in chunk:
                found = flow.input_schema.decode(payloads.runs[run_id].input)
                if found != wanted:
                    raise RuntimeError(f"{flow.slug}: run {run_id} has the input {found!r}")
        await check_health(kernel)


async def check_health(kernel: Kernel) -> None:
    """Raise if `fairlead doctor` would find anything: a broken invariant, or what ought to be dealt with by now."""
    diagnosis = await kernel.doctor()
    if not diagnosis.healthy:
        raise RuntimeError("; ".join(f"{each.name}: {each.what} {list(each.rows)}" for each in diagnosis.findings))


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(values), BATCH):
        yield values[first : first + BATCH]
