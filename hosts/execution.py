"""One attempt at one task: calling its handler, ending it when it must end, and saying how it ended.

An attempt ends by itself, or the host stops it: because it takes too long, because its lease is lost or its task
cancelled, or because the host goes. What it then returns is judged by why it was stopped. User code runs here and
nowhere else; whatever it raises, `SystemExit` and its own `CancelledError` included, is a failed attempt and never the
host's end.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Collection, Mapping
from functools import partial
from random import Random
from typing import Any, Protocol

from ..kernel import Context, Kernel, PayloadError
from ..kernel.commands import Outcome
from ..kernel.context import Signs
from ..kernel.notes import UNHEARD
from ..ports.records import ClaimedTask, Lease
from .assembling import Values
from .attending import Attending
from .backoff import Backoff
from .errands import Errands
from .executables import Executable
from .notebook import AttemptNotes, Notebook
from .outcomes import failed, host_failed, invalid_input, released, returned, timed_out
from .producing import elements_in, produced, produced_in_thread
from .spilling import Spilling
from .threads import HandlerThreads
from .trying import Abandoned

logger = logging.getLogger(__name__)


class Stop(enum.Enum):
    """Why a host stops an attempt."""

    TIMED_OUT = "timed out"
    LEASE_LOST = "lost its lease"
    CANCELLED = "was cancelled"
    DRAINED = "was asked to give its slot up"


class Attempts(Protocol):
    """Who runs attempts and hears of them."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the host."""
        ...

    @property
    def kernel(self) -> Kernel:
        """Whose tasks they try."""
        ...

    @property
    def threads(self) -> HandlerThreads:
        """Threads for plain functions."""
        ...

    @property
    def resources(self) -> Mapping[str, object]:
        """What handlers may ask for."""
        ...

    @property
    def random(self) -> Random:
        """What spreads the tries of attempts over time."""
        ...

    @property
    def errands(self) -> Errands:
        """What is done for attempts at the moment."""
        ...

    @property
    def spilling(self) -> Spilling:
        """Writes outputs that are too large for a row."""
        ...

    @property
    def notebook(self) -> Notebook:
        """Where handlers note things."""
        ...

    @property
    def cancel_grace_s(self) -> float:
        """How long a handler that was stopped may take to end before its slot is given to another."""
        ...

    def ended(self, execution: Execution, outcome: Outcome | None, *, running: bool) -> None:
        """The attempt is over; None where nothing is to be recorded.

        Called exactly once. `running` says that user code goes on, so that the slot is not free yet.
        """
        ...

    def gone(self, execution: Execution, *, running: bool) -> None:
        """A handler that outlived its attempt has ended, or (`running`) did not within its grace."""
        ...


class Execution:
    """One attempt. Belongs to the event loop of its host."""

    __slots__ = (
        "_attempts",
        "_awaited",
        "_handle",
        "_in_thread",
        "_left",
        "_signs",
        "_timer",
        "_times_out_s",
        "claimed",
        "ended",
        "executable",
        "lease",
        "lease_ends_s",
        "notes",
        "stopped",
    )

    def __init__(self, claimed: ClaimedTask, lease: Lease, executable: Executable, attempts: Attempts) -> None:
        self.claimed = claimed
        self.lease = lease
        self.executable = executable
        self.lease_ends_s = 0.0
        """When the lease has run out for certain, in seconds of the monotonic clock; heartbeats move it."""
        self.notes: AttemptNotes | None = None
        """What its handler notes; None where it takes no context."""
        self.stopped: Stop | None = None
        self.ended = False
        """Whether its outcome is known. Its handler may still be running."""
        self._signs = Signs()
        self._attempts = attempts
        self._awaited: set[asyncio.Task[Any]] = set()
        """What its thread waits for in the event loop."""
        self._handle: asyncio.Task[None] | None = None
        self._in_thread = False
        self._left = False
        """Whether its host has ended."""
        self._timer: asyncio.TimerHandle | None = None
        self._times_out_s = float("inf")
        """When it takes too long, in seconds of the loop's clock."""

    @property
    def begun(self) -> bool:
        """Whether its handler was called, or never will be."""
        return self.ended or self._in_thread or self._handle is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the host."""
        return self._attempts.loop

    @property
    def over(self) -> bool:
        """Whether it has ended, or was stopped, or its host has ended."""
        return self.ended or self.stopped is not None or self._left

    @property
    def errands(self) -> Errands:
        """What its host does at the moment."""
        return self._attempts.errands

    @property
    def threads(self) -> HandlerThreads:
        """Where its handler runs, if that is a plain function."""
        return self._attempts.threads

    def new_backoff(self) -> Backoff:
        """Pauses for one operation on behalf of this attempt."""
        return Backoff(self._attempts.random)

    def awaits(self, task: asyncio.Task[Any]) -> None:
        """Its thread waits for this task of the host's loop, which is of no use once the attempt is over."""
        self._awaited.add(task)
        task.add_done_callback(self._awaited.discard)

    def start(self, values: Values) -> None:
        """Call the handler with decoded `values`."""
        if self.ended:  # recovers 42: an attempt is stopped before its input is here
            return
        for stream in values.streams:
            stream.read_for(self)
        binding, attempts = self.executable.binding, self._attempts
        try:
            arguments = binding.arguments(values.payloads, self._context(values.skipped), attempts.resources)
        except PayloadError as error:
            self._end(invalid_input(self.claimed, error))
            return
        except BaseException as error:  # recovers 74: classes of users may raise anything while they are made
            self._end(failed(self.claimed, self.executable, error))
            return
        if binding.is_async:
            self._handle = attempts.loop.create_task(self._run(binding.handler, arguments))
        else:
            self._start_in_thread(arguments)

    def _context(self, skipped: Collection[str]) -> Context:
        key = self.claimed.key
        asked_for = bool(self.executable.binding.contexts)
        return Context(
            run_id=key.run_id,
            flow=self.executable.flow,
            step=key.step,
            index=key.element if self.executable.is_map else None,
            attempt=self.claimed.attempt,
            idempotency_key=str(key),
            statuses=self.executable.statuses(skipped) if asked_for else {},
            signs=self._signs,
            services=Attending(self.claimed, self._attempts.kernel, self) if asked_for else None,
            noting=self._new_notes() if asked_for else UNHEARD,
        )

    def _new_notes(self) -> AttemptNotes:
        """What the handler notes with its context."""
        self.notes = AttemptNotes(self._attempts.notebook, self.lease, self.claimed.attempt)
        return self.notes

    def refuse(self, error: BaseException) -> None:
        """The host cannot call the handler."""
        if not self.ended:
            self._end(host_failed(self.claimed, error))

    def tell(self, why: Stop) -> None:
        """Let the handler see why it is being stopped. May be called from any thread."""
        if why is Stop.LEASE_LOST:
            self._signs.lease_lost = True
        elif why is Stop.CANCELLED:
            self._signs.cancelled = True

    def stop(self, why: Stop) -> None:
        """Stop the attempt: an async handler is cancelled, a thread goes on with nobody waiting for it.

        A thread is not stopped by a drain: its task can be given back only when its process ends.
        """
        if self.ended or self.stopped is not None or (why is Stop.DRAINED and self._in_thread):
            return
        self.stopped = why
        self.tell(why)
        if self._in_thread:  # recovers 42, 73: a thread goes on although its attempt is stopped
            for task in self._awaited:
                task.cancel()
            self._end(self._outcome_of_stop(), running=True)
            return
        begun = self._timer is not None
        self._cancel_timer()
        if self._handle is not None:
            self._handle.cancel()
        if begun:
            self._timer = self._attempts.loop.call_later(self._attempts.cancel_grace_s, self._abandon)
        else:  # a coroutine that is cancelled before its first step never runs, and says nothing
            self._end(self._outcome_of_stop())

    def leave(self) -> None:
        """The host ends: whatever the handler still does, nobody waits for it."""
        self._left = True
        if self.notes is not None:
            self._attempts.notebook.end(self.notes, None)
        self._cancel_timer()

    def _outcome_of_stop(self) -> Outcome | None:
        if self.stopped is Stop.TIMED_OUT:
            return timed_out(self.claimed, self.executable)
        return released(self.claimed) if self.stopped is Stop.DRAINED else None

    # Async handlers

    async def _run(self, handler: Any, arguments: dict[str, object]) -> None:
        self._start_timer()
        try:
            value = await handler(**arguments)
            elements = elements_in(self.executable, value)
            if elements is not None:
                made = await produced(self.claimed, self.executable, elements, self._attempts.spilling, self)
                self._note_overrun()
            else:
                self._note_overrun()
                made = returned(self.claimed, self.executable, value)
            outcome = self._judged(made)
        except BaseException as error:
            self._note_overrun()
            outcome = self._outcome_of_stop() if self.stopped else failed(self.claimed, self.executable, error)
        self._handler_ended(outcome)

    def _note_overrun(self) -> None:
        """A handler that blocked the loop past its timeout has timed out, although nobody could stop it then."""
        if self.stopped is None and self._overran:  # recovers 71: a handler blocked the loop beyond its timeout
            self.stopped = Stop.TIMED_OUT

    def _judged(self, outcome: Outcome) -> Outcome | None:
        """What counts of a result: one that comes after a timeout or a cancel, or without a lease, is discarded."""
        if self.stopped is None or self.stopped is Stop.DRAINED:
            return outcome
        return self._outcome_of_stop()  # recovers 42: a result comes after its attempt was stopped

    def _handler_ended(self, outcome: Outcome | None) -> None:
        if self._left:  # recovers 72: a handler ends after its host
            logger.info("%s ended after its host", self)
        elif self.ended:  # recovers 73: a handler ends after its attempt
            self._cancel_timer()
            self._attempts.gone(self, running=False)
        elif outcome is not None and self._attempts.spilling.concerns(outcome):
            self._cancel_timer()  # what follows takes as long as the store does, not the handler
            self._handle = self._attempts.loop.create_task(self._hand_in(outcome))
            self.errands.add(self._handle)
        else:
            self._end(outcome)

    async def _hand_in(self, outcome: Outcome) -> None:
        """Write an output that is too large for its row, and end with a reference to it."""
        try:
            spilled: Outcome | None = await self._attempts.spilling.spill(self.executable, outcome, self)
        except Abandoned:  # recovers 42, 61: an attempt is over while its output cannot be written
            spilled = self._outcome_of_stop()
        except Exception as error:  # recovers 61: an output cannot be written at all
            spilled = host_failed(self.claimed, error)
        if not self.ended:
            self._end(spilled)

    def _abandon(self) -> None:
        """The handler swallows its cancellation: settle without it, and let its slot be used.

        A drained attempt is not settled: while its handler runs here its task must not run elsewhere.
        """
        assert self.stopped is not None
        # recovers 73: a handler swallows its cancellation
        logger.warning("the handler of %s %s and does not end", self, self.stopped.value)
        self._timer = None
        if self.stopped is not Stop.DRAINED:
            self._end(self._outcome_of_stop(), running=True)
            self._attempts.gone(self, running=True)

    # Plain functions

    def _start_in_thread(self, arguments: dict[str, object]) -> None:
        self._in_thread = True
        self._start_timer()
        try:
            self._attempts.threads.submit(partial(self._run_in_thread, arguments))
        except Exception as error:  # recovers 76: the process may have no thread more
            self._in_thread = False
            self.refuse(error)

    def _run_in_thread(self, arguments: dict[str, object]) -> None:
        outcome = None if self.ended else self._outcome_of_call(arguments)
        try:
            self._attempts.loop.call_soon_threadsafe(self._thread_ended, outcome)
        except RuntimeError:  # recovers 72: the host ended without waiting for this thread
            logger.info("%s ended after its host", self)

    def _outcome_of_call(self, arguments: dict[str, object]) -> Outcome:
        try:
            value = self.executable.binding.handler(**arguments)
            elements = elements_in(self.executable, value)
            if elements is not None:
                outcome = produced_in_thread(self.claimed, self.executable, elements, self._attempts.spilling, self)
            else:
                outcome = returned(self.claimed, self.executable, value)
        except BaseException as error:
            outcome = failed(self.claimed, self.executable, error)
        return timed_out(self.claimed, self.executable) if self._overran else outcome

    def _thread_ended(self, outcome: Outcome | None) -> None:
        self._in_thread = False
        self._handler_ended(outcome)

    def _thread_outlives_its_grace(self) -> None:
        assert self.stopped is not None
        # recovers 73: a thread outlives its grace
        logger.warning("the thread of %s %s and does not end", self, self.stopped.value)
        self._timer = None
        self._attempts.gone(self, running=True)

    # Both

    def _end(self, outcome: Outcome | None, *, running: bool = False) -> None:
        self._cancel_timer()
        self.ended = True
        if running and self._in_thread:
            grace_s = self._attempts.cancel_grace_s
            self._timer = self._attempts.loop.call_later(grace_s, self._thread_outlives_its_grace)
        self._attempts.ended(self, outcome, running=running)

    def _start_timer(self) -> None:
        timeout_s = self.executable.step.policy.timeout_s
        self._timer = self._attempts.loop.call_later(timeout_s, self.stop, Stop.TIMED_OUT)
        self._times_out_s = self._timer.when()

    @property
    def _overran(self) -> bool:
        """Whether its timeout has passed, noticed or not."""
        return self._attempts.loop.time() > self._times_out_s

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __str__(self) -> str:
        """The task and its attempt, for messages."""
        return f"task {self.claimed.key}, attempt {self.claimed.attempt},"
