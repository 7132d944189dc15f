"""The payloads that handlers are called with: read for a whole claim at once, and kept for those that come next.

Payloads never change once they are recorded, so what is kept need not be checked again. Kept are the inputs of runs
that this host claimed, the outputs of its handlers once the store has recorded them (an attempt whose lease was lost
gives nobody anything), and whatever it had to read. A task that is handed over to the host that made it ready therefore
finds everything here, and needs no read at all. Only the state of a suspended task changes, from check to check, so
each check reads it.

Payloads that are too large for a row are in blobs (`kernel.references`). A task whose values are all in rows never
waits for a blob; one that needs some is completed by itself, and several that need the same one share its read.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ..kernel.references import Reference
from ..ports.blobs import BlobStore
from ..ports.errors import CorruptionError
from ..ports.persistence import RunReader
from ..ports.reading import OutputRequest, StepOutput
from ..ports.records import ClaimedTask, PendingRun, TaskKey
from ..ports.statuses import StepStatus
from .assembling import (
    HEAD,
    Assembling,
    InBlobs,
    Look,
    MapOutput,
    NotHere,
    RunValues,
    Values,
    as_output,
    as_stored,
    output_key,
    outputs_needed,
    state_key,
)
from .blob_reading import BlobReading, Part
from .executables import Executable
from .kept import KEPT_BYTES_MAX, Kept
from .streams import read_head

SEGMENT_ENTRY_BYTES = 270
"""About the memory that one segment takes in a reference: a digest as text, three numbers, and their struct."""


class PayloadMissing(CorruptionError):
    """A payload that a claimed task needs is not in the store: its run was removed, or its step is not completed."""

    def __init__(self, task: TaskKey, missing: str) -> None:
        self.task = task
        super().__init__(f"task {task} needs {missing}, which the store does not have")


@frozen
class Incomplete:
    """A task some of whose values are in blobs, with what is known of it so far."""

    task: ClaimedTask
    executable: Executable
    look: Look


class Payloads:
    """What one host knows of payloads. Belongs to one event loop."""

    def __init__(self, reader: RunReader, blobs: BlobStore, *, size_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._reader = reader
        self._kept = Kept(size_bytes_max)
        self._blobs = BlobReading(blobs, self._kept)
        self._assembling = Assembling(reader, self._blobs, self._kept)

    def remember_run(self, run: PendingRun) -> None:
        """Keep what a claimed run brought with it."""
        self._keep((run.id,), RunValues(as_stored(run.input), run.config))

    def remember_output(self, task: ClaimedTask, executable: Executable, output: bytes) -> None:
        """Keep a recorded output, or the reference to it, if anybody will ask for it."""
        if executable.is_read:
            element = task.key.element if executable.is_map else None
            self._keep(output_key(task.key, task.key.step, element), as_stored(output))

    def remember_blobs(self, executable: Executable, output: bytes, data: bytes) -> None:
        """Keep what was written into the blobs of a reference, if anybody will ask for it."""
        stored = as_stored(output)
        if executable.is_read and isinstance(stored, Reference):
            self._keep(Part(stored).key, data)

    def find(self, task: ClaimedTask, executable: Executable) -> Values | None:
        """What a handler is called with, if all of it is here."""
        try:
            return self._assembling.values(task, executable, self._kept.get)
        except (NotHere, InBlobs):
            return None

    async def load(
        self, wanted: Sequence[tuple[ClaimedTask, Executable]]
    ) -> list[Values | Incomplete | PayloadMissing]:
        """What the handlers of some tasks are called with, read from rows in one round trip as far as it is not here.

        Returns:
            For each of `wanted` its values, or what is to be completed, or what is missing.

        Raises:
            AdapterError: the store could not be read.
        """
        found = await self._read_rows(wanted)
        for task, executable in wanted:
            await self._read_heads(task.key, executable, found)

        def look(key: object) -> object | None:
            value = found.get(key)
            return self._kept.get(key) if value is None else value

        return [self._found(task, executable, look) for task, executable in wanted]

    async def complete(self, incomplete: Incomplete) -> Values:
        """What a handler is called with, read from blobs as far as it is not here.

        Raises:
            BlobCorrupt: a blob is missing or is not what was written.
            PayloadMissing: what was read does not hold what the task needs.
            AdapterError: the store could not be read.
        """
        read: dict[object, object] = {}

        def look(key: object) -> object | None:
            value = read.get(key)
            return incomplete.look(key) if value is None else value

        while True:
            try:
                return self._assembling.values(incomplete.task, incomplete.executable, look)
            except InBlobs as needed:
                parts = needed.parts
            except NotHere as absent:  # recovers 60: a blob does not hold what a task needs
                raise PayloadMissing(incomplete.task.key, str(absent)) from None
            for part, value in zip(parts, await self._blobs.read_all(parts), strict=True):
                read[part.key] = value

    async def close(self) -> None:
        """Stop reading."""
        await self._blobs.close()

    def _found(self, task: ClaimedTask, executable: Executable, look: Look) -> Values | Incomplete | PayloadMissing:
        try:
            return self._assembling.values(task, executable, look)
        except InBlobs:
            return Incomplete(task, executable, look)
        except NotHere as absent:  # recovers 37: a row that a task needs is not there
            return PayloadMissing(task.key, str(absent))

    async def _read_rows(self, wanted: Sequence[tuple[ClaimedTask, Executable]]) -> dict[object, object]:
        """Read and keep what some tasks need of rows and is not here."""
        runs: dict[str, None] = {}
        outputs: dict[OutputRequest, tuple[TaskKey, bool]] = {}
        for task, executable in wanted:
            key = task.key
            if executable.needs_run and self._kept.get((key.run_id,)) is None:
                runs[key.run_id] = None
            for request in outputs_needed(key, executable):
                if self._kept.get(output_key(key, request.step, request.element)) is None:
                    outputs[request] = (key, request.element is None and (request.step, True) in executable.outputs)
        checked = {task.key: task for task, executable in wanted if executable.takes_state}
        read = await self._reader.read_payloads(tuple(runs), tuple(outputs), tuple(checked))
        found: dict[object, object] = {state_key(checked[key]): as_stored(state) for key, state in read.states.items()}
        for run_id, payload in read.runs.items():
            found[(run_id,)] = self._keep((run_id,), RunValues(as_stored(payload.input), payload.config))
        for request, output in read.outputs.items():
            key, is_map = outputs[request]
            value = as_output(output, is_map=is_map)
            if value is not None:
                place = output_key(key, request.step, request.element)
                found[place] = self._keep(place, value)
        return found

    async def _read_heads(self, key: TaskKey, executable: Executable, found: dict[object, object]) -> None:
        """Read and keep the first outputs of the maps that a handler takes one by one."""
        for slug in executable.map_streams:
            place = output_key(key, slug, HEAD)
            if place not in found and self._kept.get(place) is None:
                head = await read_head(self._reader, key.run_id, slug)
                if head is not None and head.status in (StepStatus.COMPLETED, StepStatus.SKIPPED):
                    found[place] = self._keep(place, head)

    def _keep(self, key: object, value: object) -> object:
        self._kept.put(key, value, _size_bytes(value))
        return value


def _size_bytes(value: object) -> int:
    """About the memory that a value takes."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Reference):
        return SEGMENT_ENTRY_BYTES * sum(1 + len(segments) for segments in value.arrays.values())
    if isinstance(value, RunValues):
        return _size_bytes(value.input) + len(value.config or b"")
    if isinstance(value, MapOutput):
        return sum(map(_size_bytes, value.outputs))
    if isinstance(value, StepOutput):
        return sum(len(output or b"") for output in value.outputs)
    return 0
