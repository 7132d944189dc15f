"""Virtual time: an event loop that jumps where it would wait, and what hosts need to live in it.

Everything runs in one thread. Callbacks of one *process* run in the order in which they were registered, as on any
event loop; which of several processes goes on next, a seeded source of chance decides. When nobody can go on, the time
jumps to the next timer. So an hour of retries takes milliseconds, and one seed always gives one course.

- `VirtualLoop` is the loop; `Deadlock` says that everybody waits and no timer will wake anybody,
  `Livelock` that somebody goes on for ever without any time passing.
- `Process` is what lives, stands still and dies as one: everything that is started inside it belongs to it.
- `LoopClock` is the `Clock` port in this time; each process may have one that is wrong by its own offset.
- `TurnThreads` runs plain functions: in threads, of which one at a time goes on while the loop stands still.
"""

from __future__ import annotations

from .clock import START, LoopClock
from .errors import Deadlock, Livelock
from .loop import VirtualLoop, run_virtually
from .places import place_of
from .process import Process
from .turns import TurnThreads

__all__ = [
    "START",
    "Deadlock",
    "Livelock",
    "LoopClock",
    "Process",
    "TurnThreads",
    "VirtualLoop",
    "place_of",
    "run_virtually",
]
