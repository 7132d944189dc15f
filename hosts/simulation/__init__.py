"""Simulation: flows, and the framework itself, in worlds where everything goes wrong, in virtual time.

`simulate` is what users call from their tests. Below it, a `World` has a store, a transport, a blob store and a sink in
memory, machines on which real hosts run, and clients; whatever passes between them may be struck. Everything that
happens comes from one seed, so a seed that fails fails again, in every process.

- `faults`: which kinds of faults there are, and what a seed has of them.
- `striking`: ports that fail on purpose; `fate`: which call of them fails how, by chance or as planned.
- `machines`: processes that are killed, stand still and come again.
- `patience`: how long a healed world is waited for.
- `watching`, `ledger`, `timeline`, `logs`: what really happened.
- `checks`: what must hold after every commit.
- `fitness`: what can be simulated.
- `judging`, `effects`, `reach`: what must hold at the end.
"""

from __future__ import annotations

from .faults import Faults
from .fitness import SimulationUnfit
from .judging import Invariant
from .ledger import Execution
from .outcome import Outcome
from .report import Report
from .simulate import NotCompared, Opaque, simulate
from .telling import SimulationFailed
from .timeline import Entry

__all__ = [
    "Entry",
    "Execution",
    "Faults",
    "Invariant",
    "NotCompared",
    "Opaque",
    "Outcome",
    "Report",
    "SimulationFailed",
    "SimulationUnfit",
    "simulate",
]
