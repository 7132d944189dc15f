"""The safeguards: what each keeps, how it is switched off, and what is meant to find out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from attrs import frozen

from fairlead.adapters.memory.locks import Locks
from fairlead.adapters.memory.store import Store
from fairlead.adapters.memory.writing import Writing
from fairlead.hosts import settling, spilling
from fairlead.hosts.heartbeats import Heartbeats
from fairlead.hosts.node import loops
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.ticks import Ticks
from fairlead.hosts.worker import Worker
from fairlead.kernel import fetching
from fairlead.kernel.decisions import attempts, rerun, start
from fairlead.kernel.decisions.progress import RunProgress
from fairlead.kernel.decisions.waits import Waits
from fairlead.kernel.dispatch import advancing
from fairlead.kernel.dispatch.offering import Offering
from tests.simulation.campaign.clients import Played

from . import circumstances
from .switches import (
    Off,
    accepted_whatever_comes,
    after,
    always,
    asking_nothing,
    by_id_alone,
    claiming_everything,
    events_apart,
    never,
    none_done,
    nothing,
    remembering_at_once,
    repeated_as_new,
    replaced,
    runs_at_all,
    taking_at_once,
    the_same,
    the_same_for_all_attempts,
    together,
    unguarded,
)


@frozen(kw_only=True)
class Safeguard:
    """Something that keeps a promise, and what is noticed when it is not there."""

    name: str
    off: Off
    """The world without it."""
    convicted_by: tuple[str, ...]
    """The checks that may find out: invariants, promises, or `ending`: a run ends otherwise than without faults."""
    among: Callable[[list[Played], Setting], Setting] | None = None
    """The circumstances that it is tried in; None for worlds as the campaign draws them."""


NO_TIME = timedelta(0)

SAFEGUARDS: Sequence[Safeguard] = (
    Safeguard(
        name="fencing by token",
        off=together(replaced(attempts, "counts", runs_at_all), replaced(Writing, "_guarded_task", unguarded)),
        convicted_by=("I9",),
        among=circumstances.zombies,
    ),
    Safeguard(
        name="guards of statuses",
        off=together(
            replaced(attempts, "counts", always),
            replaced(attempts, "task_after", after),
            replaced(RunProgress, "is_live", always),
            replaced(Writing, "_guarded_task", unguarded),
        ),
        convicted_by=("I1",),
    ),
    Safeguard(
        name="idempotency keys",
        off=replaced(Store, "_existing", by_id_alone),
        convicted_by=("I22", "P7"),
    ),
    Safeguard(
        name="payloads of equal keys are compared",
        off=replaced(start, "request_digest", the_same),
        convicted_by=("P7",),
    ),
    Safeguard(name="events in the transaction of their change", off=events_apart, convicted_by=("I18",)),
    Safeguard(
        name="an event is published when its sink has it",
        off=replaced(Offering, "offer", accepted_whatever_comes),
        convicted_by=("I20",),
        among=circumstances.troubled_sinks,
    ),
    Safeguard(
        name="the cap on attempts",
        off=replaced(attempts, "may_be_tried_again", always),
        convicted_by=("I8",),
    ),
    Safeguard(name="heartbeats", off=replaced(Heartbeats, "beat", none_done), convicted_by=("I34", "P2", "ending")),
    Safeguard(
        name="digests of blobs",
        off=replaced(fetching, "damage_of", nothing),
        convicted_by=(
            "I15",
            "I28",
            "ending",
        ),
        among=circumstances.damaged_blobs,
    ),
    Safeguard(
        name="what is live ends with its run",
        off=replaced(Writing, "_cancel", nothing),
        convicted_by=("I25",),
    ),
    Safeguard(
        name="what a repeated settle had handed over",
        off=replaced(settling, "SettleTasks", repeated_as_new),
        convicted_by=("P2",),
        among=circumstances.rarely_lost_answers,
    ),
    Safeguard(
        name="one dangerous task at a time",
        off=replaced(Worker, "lost_limit", 1_000),
        convicted_by=("P2",),
    ),
    Safeguard(
        name="outputs are given to others once recorded",
        off=remembering_at_once,
        convicted_by=("I15",),
        among=circumstances.zombies,
    ),
    Safeguard(
        name="recall after an unknown claim",
        off=replaced(Ticks, "recall", none_done),
        convicted_by=("P2",),
        among=circumstances.lost_answers,
    ),
    Safeguard(
        name="the sweep of lost messages",
        off=replaced(Ticks, "sweep", none_done),
        convicted_by=("I31", "I35"),
    ),
    Safeguard(
        name="the reaper",
        off=replaced(Ticks, "reap", none_done),
        convicted_by=("I31",),
    ),
    Safeguard(
        name="the end of waits",
        off=replaced(Ticks, "wake", none_done),
        convicted_by=("I31",),
    ),
    Safeguard(
        name="the lock of a run",
        off=together(
            replaced(Locks, "lock", nothing),
            replaced(Locks, "try_lock", always),
            replaced(Locks, "holds", always),
            replaced(Locks, "is_locked", never),
        ),
        convicted_by=("I11", "I12", "I13", "I18", "I19"),
    ),
    Safeguard(
        name="signals that come early are kept",
        off=replaced(Waits, "kept_signal", nothing),
        convicted_by=(
            "I27",
            "I31",
        ),
    ),
    Safeguard(
        name="the margin for clocks that differ",
        off=together(replaced(advancing, "CLOCK_SKEW_MAX", NO_TIME), replaced(loops, "CLOCK_SKEW_MAX", NO_TIME)),
        convicted_by=("I6",),
        among=circumstances.wrong_clocks,
    ),
    Safeguard(
        name="the reaper looks again under the lock",
        off=taking_at_once,
        convicted_by=("I6",),
        among=circumstances.slow_store,
    ),
    Safeguard(
        name="hosts claim what they have code for",
        off=claiming_everything,
        convicted_by=("I31", "P8"),
        among=circumstances.deploys,
    ),
    Safeguard(
        name="a cascade of skips holds after a rerun",
        off=replaced(rerun, "takes_along", never),
        convicted_by=("ending",),
        among=circumstances.reruns,
    ),
    Safeguard(
        name="an answer that crosses another begins nothing again",
        off=replaced(Worker, "asking", asking_nothing),
        convicted_by=("P2",),
        among=circumstances.crossing_answers,
    ),
    Safeguard(
        name="a signal is consumed once",
        off=replaced(Waits, "consume", nothing),
        convicted_by=("I23", "I27"),
    ),
    Safeguard(
        name="every attempt has blobs of its own",
        off=replaced(spilling, "output_prefix", the_same_for_all_attempts),
        convicted_by=("I15", "I28", "I29", "ending"),
        among=circumstances.zombies,
    ),
)
"""Every safeguard that the campaign proves."""
