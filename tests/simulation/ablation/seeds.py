"""The first seed that convicts each safeguard; `python -m tests.simulation.ablation --find` writes this file."""

from __future__ import annotations

from collections.abc import Mapping

SEEDS: Mapping[str, int] = {
    "fencing by token": 1,
    "guards of statuses": 5,
    "idempotency keys": 3,
    "payloads of equal keys are compared": 3,
    "events in the transaction of their change": 0,
    "an event is published when its sink has it": 3,
    "the cap on attempts": 0,
    "heartbeats": 3,
    "digests of blobs": 57,
    "what is live ends with its run": 5,
    "what a repeated settle had handed over": 50,
    "one dangerous task at a time": 38,
    "outputs are given to others once recorded": 91,
    "recall after an unknown claim": 0,
    "the sweep of lost messages": 6,
    "the reaper": 0,
    "the end of waits": 0,
    "the lock of a run": 5,
    "signals that come early are kept": 9,
    "the margin for clocks that differ": 3,
    "the reaper looks again under the lock": 183,
    "hosts claim what they have code for": 31,
    "a cascade of skips holds after a rerun": 9,
    "an answer that crosses another begins nothing again": 36,
    "a signal is consumed once": 9,
    "every attempt has blobs of its own": 10,
}
"""By the name of the safeguard. What the campaign draws gives them meaning: when that changes, find them anew."""
