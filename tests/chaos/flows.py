"""The flows that run under chaos: each has one leaf whose value follows from the run's input alone.

Every handler notes in the ledger when it begins and ends, and says in its output which attempt made it. So the end of a
campaign can tell which of the executions was recorded.
"""

from __future__ import annotations

from typing import Final

from tests.chaos.jobs import DOOMED_ATTEMPTS, MAX_ATTEMPTS
from tests.chaos.waiting import asked, beat, fleeting, patient, timed
from tests.chaos.working import chain, choice, doomed, flaky, heavy, spread

FLOWS: Final = (chain, spread, flaky, doomed, choice, patient, asked, timed, heavy, beat, fleeting)

LEAVES: Final = {
    "chain": "third",
    "spread": "total",
    "flaky": "relieved",
    "choice": "joined",
    "patient": "unpacked",
    "asked": "close",
    "timed": "awake",
    "heavy": "weighed",
    "beat": "tick",
    "fleeting": "pass_by",
}
"""The leaf of each flow that completes."""

MAX_ATTEMPTS_OF: Final = {flow.slug: MAX_ATTEMPTS for flow in FLOWS} | {"doomed": DOOMED_ATTEMPTS}
