"""Outputs that are too large for a row: written into blobs before they are settled, while the attempt holds its lease.

A lost lease ends the writing; what was written until then are orphans.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from ..kernel import Kernel
from ..kernel.array_writing import ArrayWriter
from ..kernel.commands import Outcome
from ..kernel.references import is_reference, output_prefix
from ..kernel.schema import Schema
from ..kernel.spilling import NewBlob, Spill, put_blob
from ..ports.errors import AdapterError
from ..ports.records import ClaimedTask
from .executables import Executable
from .trying import Ongoing, call_in_loop, try_on


class OutputNotStored(AdapterError):
    """The blob store refuses an output for good: to make it once more would not help."""


class Spilling:
    """Writes the large outputs of one host."""

    def __init__(self, kernel: Kernel) -> None:
        self._blobs = kernel.ports.blobs
        self._inline_bytes_max = kernel.inline_bytes_max

    def is_too_large(self, output: bytes) -> bool:
        """Whether an output cannot be settled as it is."""
        return len(output) > self._inline_bytes_max and not is_reference(output)

    async def spill(self, executable: Executable, outcome: Outcome, attempt: Ongoing) -> Outcome:
        """The outcome with a reference to its output.

        Raises:
            OutputNotStored: the store refuses it.
            Abandoned: the store failed, and the attempt is over.
        """
        assert outcome.output is not None
        spill = Spill(outcome.output, executable.arrays, output_prefix(outcome.key, outcome.token))
        for blob in spill.blobs():
            await self.store(blob, attempt)
        return replace(outcome, output=spill.reference())

    async def store(self, blob: NewBlob, attempt: Ongoing) -> None:
        """Write one blob; errors as for `spill`."""
        try:
            await try_on(attempt, f"write blob {blob.key}", partial(put_blob, self._blobs, blob))
        except AdapterError as error:
            raise OutputNotStored(f"blob {blob.key!r} cannot be written: {error}") from error

    def store_in_thread(self, blob: NewBlob, attempt: Ongoing) -> None:
        """Write one blob for a handler in a thread, which waits for it; errors as for `spill`."""
        call_in_loop(attempt, partial(self.store, blob, attempt))

    def writer(self, task: ClaimedTask, executable: Executable, element: Schema) -> ArrayWriter:
        """Writes the output of a task element by element."""
        return ArrayWriter(
            element,
            name=task.key.step,
            prefix=output_prefix(task.key, task.token),
            questions=executable.questions,
            inline_bytes_max=self._inline_bytes_max,
        )
