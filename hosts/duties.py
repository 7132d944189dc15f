"""Which duties a host has beside its event loop."""

from __future__ import annotations

from .beside import STOP_S, Beside, HeartbeatsIn, LoopBeside, ThreadBeside
from .heartbeats import Heartbeats
from .note_writing import NoteWriting
from .worker import Worker


def beside(
    worker: Worker, *, place: HeartbeatsIn, interval_s: float, own_handle: bool = False, stop_s: float = STOP_S
) -> Beside:
    """Keeping leases and writing notes, for one worker; not begun yet.

    Args:
        worker: whose leases and notes.
        place: in a thread of their own, or in the host's loop.
        interval_s: between two heartbeats.
        own_handle: whether heartbeats have a connection of their own in the host's loop too.
        stop_s: how long their end may take before it is forced.
    """
    in_thread = place == "thread"
    name = f"fairlead-heartbeats-{worker.options.worker}"
    duties = (
        Heartbeats(worker, interval_s=interval_s, own_handle=own_handle or in_thread),
        NoteWriting(worker.kernel, worker.notebook, worker.loop, own_handle=in_thread, name=worker.options.worker),
    )
    return ThreadBeside(duties, name=name, stop_s=stop_s) if in_thread else LoopBeside(duties, name=name)
