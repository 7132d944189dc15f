"""Writing down what attempts noted, twice a second while there is something, beside the handlers.

The writer is one of the duties that a host has beside its event loop, so what is noted is visible although a handler
blocks the loop. Notes that no outcome waits for are written at most every `WRITE_INTERVAL_S`; those of attempts that
have ended at once, all that have come together in one statement. Where the store cannot be reached the same batch is
written again until it can; a batch that it refuses is taken apart, so that nobody loses notes to another's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from random import Random

from ..kernel import Kernel
from ..kernel.commands import ANNOTATE_BATCH_MAX, AnnotateRuns, Annotation, AnnotationVerdict, WriteNotes
from ..ports.errors import AdapterError
from .backoff import Backoff
from .notebook import TOO_MANY_ANNOTATIONS, AttemptNotes, Batch, Notebook, leases_of

logger = logging.getLogger(__name__)

WRITE_INTERVAL_S = 0.5
"""Between two writes that no outcome waits for: soon enough for whoever watches, rare enough to cost nothing."""

GATHER_S = 0.02
"""How long the writer waits for what comes right after something that was noted when nothing else was."""

TRY_S = 10.0
"""How long one try to write may take."""

RETRY_LONGEST_S = 1.0
"""The longest pause after a try that failed."""

LAST_TRIES_S = 3.0
"""How long a host that ends tries to write what is left."""


class NoteWriting:
    """Writes down one worker's notes. `run` may run in another thread than the worker.

    Args:
        kernel: over the store that is written to.
        notebook: the worker's.
        host_loop: the worker's, in which outcomes go on that waited.
        own_handle: whether it uses a handle on the store of its own, as another thread must.
        name: distinguishes it, for its pauses.
    """

    def __init__(
        self,
        kernel: Kernel,
        notebook: Notebook,
        host_loop: asyncio.AbstractEventLoop,
        *,
        own_handle: bool,
        name: str,
    ) -> None:
        self._kernel = kernel
        self._notebook = notebook
        self._host_loop = host_loop
        self._own_handle = own_handle
        self._backoff = Backoff(Random(f"{name} notes"), longest_s=RETRY_LONGEST_S)
        self._batch: Batch | None = None
        """What was taken and is not written yet."""
        self._urgent = False

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop, and then what is left. Nothing is opened before there is something to write."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()

        def arrive(urgent: bool) -> None:
            self._urgent = self._urgent or urgent
            with suppress(RuntimeError):  # the loop is closed: the next run looks by itself
                loop.call_soon_threadsafe(arrived.set)

        self._notebook.when_noted = arrive
        stopping = loop.create_task(stop.wait())
        try:
            async with AsyncExitStack() as handle:
                await self._write_on(handle, arrived, stopping)
        finally:
            stopping.cancel()
            if stopping.done() and self._batch is not None:  # recovers 21: a host ends before its notes can be written
                logger.error("%d notes could not be written: %s", len(self._batch), leases_of(self._batch.attempts))

    async def _write_on(self, handle: AsyncExitStack, arrived: asyncio.Event, stopping: asyncio.Task[bool]) -> None:
        loop = asyncio.get_running_loop()
        kernel: Kernel | None = None
        until_s = float("inf")
        while loop.time() < until_s:
            if stopping.done() and until_s == float("inf"):
                until_s = loop.time() + LAST_TRIES_S
            arrived.clear()
            if self._batch is None and self._notebook.empty:
                if stopping.done():
                    return
                await _first(arrived, stopping, None)
                await self._pause(GATHER_S, arrived, stopping)
                continue
            kernel = kernel or await self._opened(handle)
            self._urgent = False
            wrote = await self._write_next(kernel)
            self._urgent = self._urgent or self._notebook.hurried
            if wrote:
                await self._pause(WRITE_INTERVAL_S, arrived, stopping)
            else:
                await asyncio.sleep(self._backoff.pause_s())

    async def _pause(self, pause_s: float, arrived: asyncio.Event, stopping: asyncio.Task[bool]) -> None:
        """Wait for so long, unless an outcome waits meanwhile, or the host stops."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + pause_s
        while not (self._urgent or stopping.done()) and loop.time() < ends_s:
            arrived.clear()
            await _first(arrived, stopping, ends_s - loop.time())

    async def _opened(self, handle: AsyncExitStack) -> Kernel:
        if not self._own_handle:
            return self._kernel
        return self._kernel.on(await handle.enter_async_context(self._kernel.ports.persistence.dedicated()))

    async def _write_next(self, kernel: Kernel) -> bool:
        """Write one batch; answers whether it need not be tried again."""
        batch = self._batch or self._notebook.take()
        self._batch = batch
        try:
            async with asyncio.timeout(TRY_S):
                await self._write(kernel, batch)
        except Exception as error:
            if _may_pass(error) or not await self._wrote_apart(kernel, batch, error):
                # recovers 21: notes cannot be written for now
                if self._backoff.failures == 0:
                    logger.warning("cannot write notes for now, trying on: %s: %s", type(error).__name__, error)
                return False
        self._backoff.reset()
        self._batch = None
        self._free(batch)
        return True

    async def _write(self, kernel: Kernel, batch: Batch) -> None:
        if batch.entries or batch.progress:
            await kernel.dispatch(WriteNotes(entries=batch.entries, progress=batch.progress))
        deferred: list[tuple[AttemptNotes, bytes]] = []
        for start in range(0, len(batch.annotations), ANNOTATE_BATCH_MAX):
            deferred += await self._annotate(kernel, batch.annotations[start : start + ANNOTATE_BATCH_MAX], wait=False)
        for each in deferred:  # recovers 24: a run is locked that is to be annotated
            await self._annotate(kernel, [each], wait=True)

    async def _annotate(
        self, kernel: Kernel, annotations: Sequence[tuple[AttemptNotes, bytes]], *, wait: bool
    ) -> list[tuple[AttemptNotes, bytes]]:
        """Annotate runs; answers what was put off since somebody holds the run."""
        asked = tuple(
            Annotation(run_id=notes.lease.key.run_id, values=values, lease=notes.lease) for notes, values in annotations
        )
        verdicts = await kernel.dispatch(AnnotateRuns(annotations=asked, wait=wait))
        deferred: list[tuple[AttemptNotes, bytes]] = []
        for each, verdict in zip(annotations, verdicts, strict=True):
            match verdict:
                case AnnotationVerdict.DEFERRED:
                    deferred.append(each)
                case AnnotationVerdict.FULL:
                    self._notebook.tell(each[0], TOO_MANY_ANNOTATIONS)
                case AnnotationVerdict.WRITTEN:
                    pass
                case _:  # recovers 42: an attempt annotates without its lease
                    logger.info("task %s has lost its lease and annotates nothing", each[0].lease.key)
        return deferred

    async def _wrote_apart(self, kernel: Kernel, batch: Batch, refusal: Exception) -> bool:
        """Write the notes of each attempt by themselves, and let those go that the store refuses.

        Returns:
            False where the store cannot be reached any more; then all of the batch is to be written again.
        """
        for notes in batch.attempts:
            alone = batch.of(notes)
            try:
                if len(batch.attempts) == 1:
                    raise refusal
                async with asyncio.timeout(TRY_S):
                    await self._write(kernel, alone)
            except Exception as error:
                if _may_pass(error):  # recovers 21: the store goes away while notes are written apart
                    return False
                # recovers 53: the store refuses what an attempt noted
                logger.error("%d notes of task %s are lost: %s", len(alone), notes.lease.key, error)
        return True

    def _free(self, batch: Batch) -> None:
        """Let outcomes go on that waited for what is written."""
        for then in self._notebook.written(batch.attempts):
            with suppress(RuntimeError):  # the host's loop is closed
                self._host_loop.call_soon_threadsafe(then)


def _may_pass(error: Exception) -> bool:
    """Whether trying again may help."""
    return isinstance(error, TimeoutError) or (isinstance(error, AdapterError) and error.retryable)


async def _first(arrived: asyncio.Event, stopping: asyncio.Task[bool], timeout_s: float | None) -> None:
    """Return when something arrives, when the host stops, or after that long."""
    arriving = asyncio.ensure_future(arrived.wait())
    try:
        await asyncio.wait({arriving, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        arriving.cancel()
