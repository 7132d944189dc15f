"""Outputs and states that are too large for a row: written into blobs before they are settled, while the attempt holds
its lease.

A lost lease ends the writing; what was written until then are orphans. Large outputs are cut and hashed in a thread,
since the event loop would stand still for milliseconds per megabyte.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from ..kernel import Kernel
from ..kernel.array_writing import ArrayWriter
from ..kernel.commands import Outcome
from ..kernel.references import SEGMENT_BYTES_MAX, is_reference, output_prefix
from ..kernel.schema import Schema
from ..kernel.spilling import NewBlob, Spill, put_blob
from ..ports.errors import AdapterError
from ..ports.records import ClaimedTask
from .executables import Executable
from .payloads import Payloads
from .threads import HandlerThreads
from .trying import Ongoing, call_in_loop, try_on

Result = TypeVar("Result")

IN_LOOP_BYTES_MAX = SEGMENT_BYTES_MAX
"""The largest output that is cut and hashed in the event loop, in bytes: that takes some two milliseconds."""


class OutputNotStored(AdapterError):
    """The blob store refuses an output for good: to make it once more would not help."""


class Spilling:
    """Writes the large outputs of one host.

    Args:
        kernel: whose outputs they are.
        payloads: remembers them, so that whoever takes them here needs no read.
        threads: where large ones are worked on.
    """

    def __init__(self, kernel: Kernel, payloads: Payloads, threads: HandlerThreads) -> None:
        self._blobs = kernel.ports.blobs
        self._inline_bytes_max = kernel.inline_bytes_max
        self._payloads = payloads
        self._threads = threads

    def concerns(self, outcome: Outcome) -> bool:
        """Whether an outcome cannot be settled as it is."""
        payload = outcome.output or outcome.state
        return payload is not None and len(payload) > self._inline_bytes_max and not is_reference(payload)

    async def spill(self, executable: Executable, outcome: Outcome, attempt: Ongoing) -> Outcome:
        """The outcome with a reference to its output, or to the state that it suspends with.

        Raises:
            OutputNotStored: the store refuses it.
            Abandoned: the store failed, and the attempt is over.
        """
        payload = outcome.output or outcome.state
        assert payload is not None, "only what has an output or a state is spilled"
        arrays = executable.arrays if outcome.output else ()

        async def computed(function: Callable[[], Result]) -> Result:
            return await self._threads.call(function) if len(payload) > IN_LOOP_BYTES_MAX else function()

        prefix = output_prefix(outcome.key, outcome.token)
        spill = await computed(lambda: Spill(payload, arrays, prefix))
        blobs = spill.blobs()
        while (blob := await computed(lambda: next(blobs, None))) is not None:
            await self.store(blob, attempt)
        reference = spill.reference()
        if outcome.output is None:
            return replace(outcome, state=reference)
        self._payloads.remember_blobs(executable, reference, payload)
        return replace(outcome, output=reference)

    async def store(self, blob: NewBlob, attempt: Ongoing) -> None:
        """Write one blob; errors as for `spill`."""
        try:
            await try_on(attempt, f"write blob {blob.key}", partial(put_blob, self._blobs, blob))
        except AdapterError as error:  # recovers 61: the blob store refuses an output for good
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
