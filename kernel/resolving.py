"""Whether every reference to a payload resolves: each blob is there, with the length and digest that were promised.

Looked at are the inputs of runs, the outputs of completed steps, what suspended steps keep for their checks, signals
that are kept, and what scheduled commands will be carried out with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..ports import Ports
from ..ports.blobs import BlobCorrupt
from ..ports.reading import OutputPage, RunCursor, RunFilter
from ..ports.records import TaskPhase
from ..ports.statuses import TERMINAL_TASK
from .entries import read_entries
from .fetching import fetch_blob
from .references import is_reference, read_reference
from .schedules import CRON_PREFIX, SIGNAL_PREFIX, START_PREFIX, CancelEntry, SignalEntry

RUNS_PER_PAGE = 100
"""Runs that are listed at a time."""

OUTPUTS_PER_PAGE = 1_000
"""Outputs of a step that are read at a time."""

OUTPUT_BYTES_PER_PAGE = 4 * 1024 * 1024
"""Bytes of them together."""


async def broken_references(ports: Ports) -> AsyncIterator[str]:
    """I28: a line for each payload that does not resolve. Every blob that is referred to is read whole."""
    async for name, stored in _payloads(ports):
        if is_reference(stored):
            try:
                for blob in read_reference(stored).blobs():
                    await fetch_blob(ports.blobs, blob)
            except BlobCorrupt as error:
                yield f"{name}: {error}"


async def _payloads(ports: Ports) -> AsyncIterator[tuple[str, bytes]]:
    """Everything that may be a reference, and what a message calls it."""
    after: RunCursor | None = None
    while True:
        page = await ports.persistence.list_runs(RunFilter(), limit=RUNS_PER_PAGE, after=after)
        for run in page.runs:
            async for payload in _payloads_of_run(ports, run.id):
                yield payload
        after = page.next
        if after is None:
            break
    for prefix in (CRON_PREFIX, START_PREFIX, SIGNAL_PREFIX):
        async for kept, entry in read_entries(ports.scheduler, prefix):
            if not isinstance(entry, CancelEntry):
                waiting = entry.payload if isinstance(entry, SignalEntry) else entry.template.input
                yield f"input of {kept.scheduled.name}", waiting.encode()


async def _payloads_of_run(ports: Ports, run_id: str) -> AsyncIterator[tuple[str, bytes]]:
    tasks = await ports.persistence.read_tasks(run_id)
    checked = [task.key for task in tasks if task.phase is TaskPhase.CHECK and task.status not in TERMINAL_TASK]
    read = await ports.persistence.read_payloads([run_id], (), checked)
    for run in read.runs.values():
        yield f"input of run {run_id}", run.input
    for step in dict.fromkeys(task.key.step for task in tasks if task.has_output):
        async for element, output in _outputs(ports, run_id, step):
            yield f"output of {step}[{element}] in run {run_id}", output
    for key, state in read.states.items():
        yield f"state of {key.step}[{key.element}] in run {run_id}", state
    for signal in await ports.persistence.read_signals(run_id):
        if signal.consumed_at is None:  # otherwise it is the output of its step
            yield f"signal for {signal.step} in run {run_id}", signal.payload


async def _outputs(ports: Ports, run_id: str, step: str) -> AsyncIterator[tuple[int, bytes]]:
    """The outputs of a completed step by index, page by page, whatever a map holds."""
    first = 0
    while True:
        page = await ports.persistence.read_output_page(
            OutputPage(
                run_id=run_id, step=step, first=first, limit=OUTPUTS_PER_PAGE, size_bytes_max=OUTPUT_BYTES_PER_PAGE
            )
        )
        if page is None or not page.outputs:
            return
        for element, output in enumerate(page.outputs, first):
            if output is not None:
                yield element, output
        first += len(page.outputs)
